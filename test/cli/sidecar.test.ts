import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, it } from '@jest/globals';
import { CertificateAuthority } from '../../runtime/identity/authority.ts';
import { systemClock } from '../../runtime/model/index.ts';
import { freePort } from '../proxy/mesh.ts';
import { TemporaryDirectory } from '../support/temporary-directory.ts';

it('a sidecar that is told to end before it ever took traffic has failed, and its last words say why', async () => {
  using directory = new TemporaryDirectory();
  const trustDomain = 'shop.local';
  const { bundlePem } = await CertificateAuthority.create({ trustDomain, clock: systemClock });
  const address = `127.0.0.1:${await freePort()}`;
  const bootstrap = {
    id: 'web-0.shop',
    namespace: 'shop',
    serviceAccount: 'web',
    workload: 'shop/web',
    trustDomain,
    controller: { address, bundle: bundlePem },
    tokenFile: await directory.write('token', 'token'),
    inbound: [],
    outbound: { services: [] },
    gateway: [],
    admin: `127.0.0.1:${await freePort()}`,
    stateDir: directory.path,
  };
  const config = await directory.write('bootstrap.json', JSON.stringify(bootstrap));
  const child = spawn(process.execPath, ['runtime/cli/main.ts', 'sidecar', '--config', config], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(child, 'exit');
  let words = '';
  for await (const chunk of child.stdout) {
    words += chunk;
    if (words.includes('no certificate was issued')) child.kill('SIGTERM');
  }
  expect(await ended).toEqual([1, null]);
  expect(words).toContain(`the controller at ${address} does not answer: connect ECONNREFUSED`);
});
