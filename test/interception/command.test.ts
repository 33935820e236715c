import { describe, expect, it } from '@jest/globals';
import { defaultRedirect, redirectRules } from '../../runtime/interception/index.ts';
import { meshwright } from '../cli/cli.ts';

describe('meshwright redirect', () => {
  it('prints what it would do', async () => {
    const { code, stdout } = await meshwright(['redirect', '--dry-run']);
    expect(code).toBe(0);
    expect(stdout).toBe(redirectRules(defaultRedirect));
  });

  it('takes lists, given at once or one after the other, and always leaves the admin port out', async () => {
    const ports = ['--skip-inbound-ports', '9100,22', '--skip-inbound-ports', '80', '--skip-outbound-ports', '53'];
    const networks = ['--skip-outbound-cidrs', '10.0.0.0/8, fd00::/8'];
    const proxy = ['--proxy-uid', '2000', '--inbound-port', '4006', '--outbound-port', '4001'];
    const { stdout } = await meshwright(['redirect', '--dry-run', ...ports, ...networks, ...proxy]);
    expect(stdout).toBe(
      redirectRules({
        inboundPort: 4006,
        outboundPort: 4001,
        proxyUid: 2000,
        skipInboundPorts: [15020, 9100, 22, 80],
        skipOutboundPorts: [53],
        skipOutboundCidrs: ['10.0.0.0/8', 'fd00::/8'],
      }),
    );
  });

  it.each([
    ['--skip-inbound-ports', '0', 'a number from 1 to 65535'],
    ['--skip-outbound-ports', '80,http', 'a number from 1 to 65535'],
    ['--outbound-port', '65536', 'a number from 1 to 65535'],
    ['--skip-outbound-cidrs', '10.0.0.0/33', 'an address with a prefix length'],
    ['--proxy-uid', '0', 'a number from 1 to 4294967294'],
  ])('says what is wrong with %s %s', async (option, value, allowed) => {
    const { code, stdout, stderr } = await meshwright(['redirect', '--dry-run', option, value]);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toContain(`expected ${allowed}`);
  });
});
