import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from '@jest/globals';
import { parse, parseAllDocuments } from 'yaml';
import { TemporaryDirectory } from '../support/temporary-directory.ts';

const cli = fileURLToPath(new URL('../../runtime/cli/main.ts', import.meta.url));

/** Runs `meshwright inject` with something on its standard input. */
async function inject(input: string, ...args: string[]) {
  const env = { ...process.env, NO_COLOR: '1' };
  const child = spawn(process.execPath, [cli, 'inject', ...args], { env, stdio: 'pipe' });
  const output = Promise.all([text(child.stdout), text(child.stderr)]);
  child.stdin.on('error', () => {});
  child.stdin.end(input);
  const [code] = await once(child, 'close');
  const [stdout, stderr] = await output;
  return { code, stdout, stderr };
}

const deployment = `# the web
apiVersion: apps/v1
kind: Deployment
metadata: { name: web, namespace: shop }
spec:
  template:
    spec:
      containers: [{ name: app, image: web:1 }]
`;
const service = 'apiVersion: v1\nkind:   Service\nmetadata: {name:  web}\n';
const pod = (name: string, rest: string) => `apiVersion: v1\nkind: Pod\nmetadata: {name: ${name}}\nspec: {${rest}}\n`;

describe('inject', () => {
  it('writes manifests with proxies, and tells what it did beside them', async () => {
    const onHost = pod('agent', 'hostNetwork: true, containers: []');
    const { code, stdout, stderr } = await inject([service, deployment, onHost].join('---\n'));
    expect(code).toBe(0);
    expect(stdout).toMatch(new RegExp(`^${service.replace(/[{}]/g, '\\$&')}---\n# the web\n`));
    expect(stdout.endsWith(`---\n${onHost}`)).toBe(true);
    const [, injected] = parseAllDocuments(stdout).map((document) => document.toJS());
    expect(injected.spec.template.spec.initContainers).toMatchObject([
      { name: 'meshwright-redirect' },
      { name: 'meshwright-proxy', restartPolicy: 'Always' },
    ]);
    expect(stderr).toMatch(/^injected Deployment shop\/web\nskipped Pod agent: it uses the network of its node/);
    expect(stderr).toContain('warning MW1901 (Pod agent): ');
  });

  it('reads a file and takes the settings of another mesh', async () => {
    using directory = new TemporaryDirectory();
    const file = await directory.write('web.yaml', deployment);
    const { code, stdout } = await inject(
      '',
      ...[file, '--trust-domain', 'shop.example', '--image', 'registry.example/mesh:7'],
      ...['--controller-address', 'controller.example:15010', '--no-access-log'],
    );
    expect(code).toBe(0);
    const [redirect, proxy] = parse(stdout).spec.template.spec.initContainers;
    expect([redirect.image, proxy.image]).toEqual(['registry.example/mesh:7', 'registry.example/mesh:7']);
    const bootstrap = JSON.parse(proxy.env.find(({ name }: { name: string }) => name === 'MESHWRIGHT_BOOTSTRAP').value);
    expect(bootstrap).toMatchObject({
      trustDomain: 'shop.example',
      controller: { address: 'controller.example:15010' },
    });
    expect(bootstrap).not.toHaveProperty('accessLog');
  });

  it('writes nothing, and ends with code 3, where one of the pods cannot have its proxy', async () => {
    const taken = pod('p', 'containers: [{name: app, securityContext: {runAsUser: 1337}}]');
    const { code, stdout, stderr } = await inject([deployment, taken].join('---\n'));
    expect({ code, stdout }).toEqual({ code: 3, stdout: '' });
    expect(stderr).toContain('error MW1903 (Pod p): container app runs as user 1337');
  });

  it('says where YAML is wrong', async () => {
    const { code, stdout, stderr } = await inject(`${service}---\na: [\n`);
    expect({ code, stdout }).toEqual({ code: 3, stdout: '' });
    expect(stderr).toMatch(/^error MW1001 \(stdin:6\): /);
  });

  it('passes on what has no pods', async () => {
    expect(await inject(service)).toEqual({ code: 0, stdout: service, stderr: 'nothing in it runs pods\n' });
  });

  it.each([
    [['no-such-file.yaml'], 'no-such-file.yaml cannot be read: it is not there'],
    [['--trust-domain', 'Shop'], 'Allowed are lower-case letters'],
    [['--controller-address', 'controller'], 'Expected host:port'],
  ])('does not understand %s', async (args, message) => {
    const { code, stdout, stderr } = await inject('', ...args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain(message);
  });

  it('has a help that begins with examples', async () => {
    const { code, stdout } = await inject('', '--help');
    expect(code).toBe(0);
    expect(stdout).toMatch(/^Examples:\n {2}\$ meshwright inject/);
  });
});
