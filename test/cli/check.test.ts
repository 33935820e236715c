import { describe, expect, it } from '@jest/globals';
import { TemporaryDirectory } from '../support/temporary-directory.ts';
import { meshwright } from './cli.ts';

/** Nothing listens there. */
const kubeconfig = `apiVersion: v1
kind: Config
current-context: nowhere
clusters: [{ name: nowhere, cluster: { server: 'https://127.0.0.1:1' } }]
users: [{ name: me, user: { token: secret } }]
contexts: [{ name: nowhere, context: { cluster: nowhere, user: me } }]
`;

describe('check', () => {
  it('ends with code 1 where there is no cluster to ask, and says so as it says all else', async () => {
    using directory = new TemporaryDirectory();
    const file = await directory.write('config', kubeconfig);
    const { code, stdout, stderr } = await meshwright(['check', '-o', 'json', '--kubeconfig', file]);
    expect({ code, stderr }).toEqual({ code: 1, stderr: '' });
    const { success, categories } = JSON.parse(stdout);
    expect(success).toBe(false);
    expect(categories[0]).toMatchObject({
      name: 'kubernetes',
      checks: [
        { id: 'kubernetes-answers', result: 'error', message: expect.stringContaining('ECONNREFUSED') },
        { id: 'kubernetes-version', result: 'skipped' },
      ],
    });
    expect(stdout).not.toContain('secret"');
  });

  it('waits for a cluster as long as it is told to, and says for what', async () => {
    using directory = new TemporaryDirectory();
    const file = await directory.write('config', kubeconfig);
    const { code, stdout, stderr } = await meshwright(['check', '--pre', '--wait', '2s', '--kubeconfig', file]);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^waiting until the Kubernetes API answers: .*ECONNREFUSED.*\n$/);
    expect(stdout).toContain('× the Kubernetes API answers\n');
  });

  it('says where it looked for a kubeconfig in vain', async () => {
    const { code, stdout } = await meshwright(['check', '-o', 'short', '--kubeconfig', '/no/such/file']);
    expect(code).toBe(1);
    expect(stdout).toContain("/no/such/file'");
  });

  it.each([['--wait', '5'], ['--wait', '-1s'], ['-o', 'yaml'], ['--fix']])(
    'says nothing of a cluster where it is called with %s %s',
    async (...args) => {
      const { code, stdout, stderr } = await meshwright(['check', ...args]);
      expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
      expect(stderr).toMatch(/^error: /);
    },
  );

  it('helps with examples first', async () => {
    const { code, stdout } = await meshwright(['check', '--help']);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^Examples:\n {2}\$ meshwright check /);
  });
});
