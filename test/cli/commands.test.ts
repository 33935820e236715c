import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from '@jest/globals';
import { TemporaryDirectory } from '../support/temporary-directory.ts';
import { meshwright } from './cli.ts';

const fixtures = fileURLToPath(new URL('./fixtures', import.meta.url));
const duo = fileURLToPath(new URL('../local/fixtures/duo', import.meta.url));

/** All there are, in the order of the help. */
const commands = [
  'install',
  'check',
  'rotate-root',
  'up',
  'synth',
  'validate',
  'simulate',
  'explain',
  'stat',
  'edges',
  'inject',
  'sidecar',
  'redirect',
  'controller',
  'completion',
];

describe('help', () => {
  it('begins with examples and names every command', async () => {
    const { code, stdout } = await meshwright(['--help']);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^Examples:\n/);
    const [, listed] = stdout.split('\nCommands:\n');
    expect([...listed.matchAll(/^ {2}(\S+)/gm)].map(([, name]) => name)).toEqual([...commands, 'help']);
  });

  it.each(commands)('of %s begins with examples, too', async (name) => {
    const { code, stdout } = await meshwright([name, '--help']);
    expect(code).toBe(0);
    expect(stdout).toMatch(new RegExp(`^Examples:\n  \\$ (source <\\()?meshwright ${name}`));
  });

  it.each([['bogus'], ['up', '--bogus'], ['stat', '-o', 'xml'], ['up', '--port', '0']])(
    'is not needed to see what is wrong with %s %s',
    async (...args) => {
      const { code, stdout, stderr } = await meshwright(args);
      expect(code).toBe(2);
      expect(stdout).toBe('');
      expect(stderr).toMatch(/^error: /);
    },
  );
});

describe('synth', () => {
  it('writes the manifests of an app', async () => {
    using directory = new TemporaryDirectory();
    const output = join(directory.path, 'out');
    const { code, stdout, stderr } = await meshwright(['synth', duo, '--output-dir', output]);
    expect({ code, stdout }).toEqual({ code: 0, stdout: '' });
    expect(stderr).toContain('9 objects in');
    expect(existsSync(join(output, 'duo.yaml'))).toBe(true);
  });

  it('ends with code 3 where the app has findings', async () => {
    using directory = new TemporaryDirectory();
    await directory.write('main.ts', `console.error('error MW1202: nowhere'); process.exitCode = 3;`);
    const { code, stderr } = await meshwright(['synth', directory.path, '--output-dir', join(directory.path, 'out')]);
    expect(code).toBe(3);
    expect(stderr).toMatch(/^error MW1202: nowhere\nerror MW1514: /);
  });

  it('does not take an app for synthesised that wrote nothing', async () => {
    using directory = new TemporaryDirectory();
    await directory.write('main.ts', '');
    const { code, stderr } = await meshwright(['synth', directory.path, '--output-dir', join(directory.path, 'out')]);
    expect({ code, stderr }).toEqual({
      code: 1,
      stderr: `${directory.path} wrote no manifests\n    fix: let the app write them to $CDK8S_OUTDIR (app.synth() does)\n`,
    });
  });

  it('says where it looked for an app in vain', async () => {
    const { code, stderr } = await meshwright(['synth', '/no/such/app']);
    expect(code).toBe(1);
    expect(stderr).toContain('MW1515: /no/such/app is not there');
  });
});

describe('validate', () => {
  it('is silent about good manifests but for saying so', async () => {
    expect(await meshwright(['validate', fixtures])).toEqual({
      code: 0,
      stdout: 'no findings in 11 objects\n',
      stderr: '',
    });
  });

  it.each([
    { held: 'nothing', files: {}, reason: 'no file there ends in .yaml, .yml, .json' },
    { held: 'the app only', files: { 'main.ts': '' }, reason: 'no file there ends in .yaml, .yml, .json' },
    {
      held: 'nothing of a mesh',
      files: { 'a.yml': 'apiVersion: v1\nkind: ConfigMap\nmetadata: { name: a }\n', 'b.yaml': '# later\n' },
      reason: 'its files (.yaml, .yml, .json) hold no object of a mesh',
    },
  ])('does not take a folder for checked that holds $held', async ({ files, reason }) => {
    using directory = new TemporaryDirectory();
    for (const [name, text] of Object.entries(files)) await directory.write(name, text);
    const { code, stdout, stderr } = await meshwright(['validate', fixtures, directory.path]);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toBe(
      `there is nothing to check in ${directory.path}: ${reason}\n    fix: write the manifests first (meshwright synth, cdk8s synth), or correct the folder\n`,
    );
  });

  it('prints every finding, with the object, and ends with code 3', async () => {
    using directory = new TemporaryDirectory();
    await directory.write('a.yaml', 'kind: [');
    await directory.write(
      'b.yaml',
      `apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: lost, namespace: shop }
spec:
  parentRefs: [{ group: '', kind: Service, name: nowhere }]
  rules: [{ backendRefs: [{ name: nobody, port: 80 }] }]
`,
    );
    const { code, stdout } = await meshwright(['validate', directory.path, '-o', 'json']);
    expect(code).toBe(3);
    const findings = JSON.parse(stdout) as { id: string; object: string; hint: string }[];
    expect(findings.map(({ id }) => id)).toEqual(expect.arrayContaining(['MW1001', 'MW1201']));
    for (const { hint, object } of findings) expect([hint, object]).toEqual([expect.any(String), expect.any(String)]);
  });

  it.each([
    ['/no/such/folder', 'is not there'],
    [fileURLToPath(import.meta.url), 'is a file; name the folder that holds it'],
  ])('takes %s for a mistake of the caller', async (path, what) => {
    const { code, stderr } = await meshwright(['validate', path]);
    expect({ code, stderr }).toEqual({ code: 2, stderr: `${path} ${what}\n` });
  });
});

describe('stat and edges', () => {
  const answers: Record<string, unknown> = {
    '/api/v1/stats': [
      { service: 'shop/reviews', version: 'v1', rps: 12.34, success: 0.99999, p50: 1.26, p99: 125.4, mtls: 1 },
      { service: 'shop/web', version: '', rps: 0 },
    ],
    '/api/v1/policies': { circuitBreakers: [], ejections: [] },
    '/api/v1/edges': [
      { source: 'shop/web', service: 'shop/reviews', target: 'shop/reviews-v1', protocol: 'http', rps: 3, mtls: 0.5 },
    ],
  };

  async function controller() {
    const server = createServer((request, response) => response.end(JSON.stringify(answers[request.url ?? ''])));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as AddressInfo;
    return {
      admin: `http://127.0.0.1:${port}`,
      [Symbol.asyncDispose]: () => new Promise<void>((resolve) => server.close(() => resolve())),
    };
  }

  it('show a table in which no failure is rounded away', async () => {
    await using api = await controller();
    const { stdout } = await meshwright(['stat', '--admin', api.admin]);
    expect(stdout.split('\n')).toEqual([
      'SERVICE       VERSION   RPS  SUCCESS     P50     P99  MTLS',
      'shop/reviews  v1       12.3   99.99%  1.3 ms  125 ms  100%',
      'shop/web      -         0.0        -       -       -     -',
      '',
    ]);
  });

  it('show which circuit breakers are open, and who is ejected, where that is so', async () => {
    const former = answers['/api/v1/policies'];
    const policy = 'CircuitBreakerPolicy shop/limits';
    answers['/api/v1/policies'] = {
      circuitBreakers: [
        { policy, limit: 'pending', open: [], proxies: 0, refused: 0.5 },
        { policy, limit: 'requests', open: ['shop/reviews:9080', 'shop/web:8080'], proxies: 2, refused: 12.25 },
      ],
      ejections: [{ service: 'shop/reviews-v1', port: 9080, ejected: 2, proxies: 1 }],
    };
    await using api = await controller();
    const { stdout } = await meshwright(['stat', '--admin', api.admin]);
    answers['/api/v1/policies'] = former;
    expect(stdout.split('\n').slice(2)).toEqual([
      'shop/web      -         0.0        -       -       -     -',
      '',
      'CIRCUIT BREAKER                   LIMIT     OPEN FOR                          AT PROXIES  REFUSED',
      'CircuitBreakerPolicy shop/limits  pending   -                                          0  0.5/s',
      'CircuitBreakerPolicy shop/limits  requests  shop/reviews:9080, shop/web:8080           2  12.3/s',
      '',
      'EJECTED OF            ENDPOINTS  AT PROXIES',
      'shop/reviews-v1:9080          2           1',
      '',
    ]);
  });

  it('show who calls whom', async () => {
    await using api = await controller();
    const { stdout } = await meshwright(['edges', '--admin', api.admin]);
    expect(stdout).toMatch(/^FROM +TO +TARGET +PROTOCOL +RPS/);
    expect(stdout).toMatch(/^shop\/web +shop\/reviews +shop\/reviews-v1 +http +3\.0 .* 50\.00%$/m);
  });

  it('show what breakers refuse and who is ejected, where that is so', async () => {
    const [edge] = answers['/api/v1/edges'] as object[];
    answers['/api/v1/edges'] = [edge, { ...edge, target: 'shop/reviews', refused: 1.25, ejected: 2 }];
    await using api = await controller();
    const { stdout } = await meshwright(['edges', '--admin', api.admin]);
    expect(stdout).toMatch(/MTLS +REFUSED +EJECTED\n/);
    expect(stdout).toMatch(/^shop\/web +shop\/reviews +shop\/reviews-v1 .* - +-$/m);
    expect(stdout).toMatch(/^shop\/web +shop\/reviews +- .* 1\.3\/s +2$/m);
  });

  it('show what takes too long, where that is so', async () => {
    const [edge] = answers['/api/v1/edges'] as object[];
    const former = answers['/api/v1/edges'];
    answers['/api/v1/edges'] = [edge, { ...edge, target: 'shop/reviews', timedOut: 0.5 }];
    await using api = await controller();
    const { stdout } = await meshwright(['edges', '--admin', api.admin]);
    answers['/api/v1/edges'] = former;
    expect(stdout).toMatch(/MTLS +TIMED OUT\n/);
    expect(stdout).toMatch(/^shop\/web +shop\/reviews +shop\/reviews-v1 .* -$/m);
    expect(stdout).toMatch(/^shop\/web +shop\/reviews +- .* 0\.5\/s$/m);
  });

  it('print all there is with -o json', async () => {
    await using api = await controller();
    const { stdout } = await meshwright(['stat', '--admin', api.admin, '-o', 'json']);
    expect(JSON.parse(stdout)).toEqual({ services: answers['/api/v1/stats'], circuitBreakers: [], ejections: [] });
  });

  it('say that no mesh runs where none does', async () => {
    using directory = new TemporaryDirectory();
    const { code, stdout, stderr } = await meshwright(['stat'], directory.path);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toContain('MW1801');
  });

  it('say that the controller does not answer', async () => {
    const { code, stderr } = await meshwright(['edges', '--admin', 'http://127.0.0.1:1']);
    expect(code).toBe(1);
    expect(stderr).toContain('MW1802: the controller at http://127.0.0.1:1 does not answer');
  });
});

describe('completion', () => {
  it('completes commands and their options in bash', async () => {
    const { stdout } = await meshwright(['completion', 'bash']);
    const ask = `COMP_WORDS=(meshwright "$@"); COMP_CWORD=$#; _meshwright; echo "\${COMPREPLY[*]}"`;
    const complete = (...words: string[]) =>
      spawnSync('bash', ['-c', `${stdout}\n${ask}`, 'bash', ...words], { encoding: 'utf8' }).stdout.trim();
    expect(complete('si')).toBe('simulate sidecar');
    expect(complete('up', '--p')).toBe('--port');
  });

  it.each(['zsh', 'fish'])('knows every command in %s', async (shell) => {
    const { code, stdout } = await meshwright(['completion', shell]);
    expect(code).toBe(0);
    for (const name of commands) expect(stdout).toContain(name);
    expect(stdout).toContain('manifests');
  });
});
