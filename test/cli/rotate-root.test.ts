import { describe, expect, it } from '@jest/globals';
import { askForRoot, rootStatus } from '../../runtime/cli/rotate-root.ts';
import { AuthorityKeeper } from '../../runtime/controller/authority/authority-keeper.ts';
import { SecretPlace } from '../controller/authority-stores.ts';
import { ownAuthority } from '../identity/openssl-authority.ts';
import { ManualClock } from '../support/manual-clock.ts';

const hour = 3_600_000;
const silent = { info: () => {}, warn: () => {} };

async function ours() {
  const home = new SecretPlace();
  const clock = new ManualClock();
  const store = home.open();
  const keeper = await AuthorityKeeper.open({ store, trustDomain: 'shop.local', clock, logger: silent });
  return {
    home,
    store,
    clock,
    keeper,
    ask: () => askForRoot(store, clock.wallTime()),
    status: () => rootStatus(store, clock.wallTime()),
  };
}

describe('rotate-root', () => {
  it('asks the leader for a new root, and tells where its change is until it is done', async () => {
    const { clock, keeper, ask, status } = await ours();
    expect(await status()).toMatch(
      /^authority {2}CN=Meshwright root, O=shop\.local, until 20.*\nmade by {4}Meshwright/,
    );
    expect(await status()).toMatch(/\nnow {8}nothing is being changed\n$/);
    await ask();
    expect(await status()).toMatch(/\nnext {7}a new root is announced, within a minute\n$/);
    await keeper.reload();
    await keeper.advance();
    const signs = new Date(clock.wallTime() + 25 * hour).toISOString();
    expect(await status()).toContain(`the old one signs\nnext       the new root signs, at ${signs}\n`);
    expect((await status()).match(/^root/gm)).toHaveLength(2);
    clock.advance(25 * hour);
    await keeper.advance();
    expect(await status()).toContain('the new one signs\nnext       the old root is not believed any more, at ');
    clock.advance(25 * hour);
    await keeper.advance();
    expect(await status()).toMatch(/\nnow {8}nothing is being changed\n$/);
  });

  it('refuses while one is under way, and changes nothing then', async () => {
    const { home, keeper, ask } = await ours();
    await ask();
    await keeper.reload();
    await keeper.advance();
    const { writes } = home;
    await expect(ask()).rejects.toThrow(/MW1611.*a change of root is under way/);
    expect(home.writes).toBe(writes);
  });

  it('refuses for an authority of the user, and warns of its end', async () => {
    using home = new SecretPlace();
    const own = ownAuthority({ subject: '/CN=Corp', days: 10 });
    home.put({ 'tls.crt': own.certificatePem, 'tls.key': own.keyPem });
    const later = Date.now() + 9 * 24 * hour;
    await expect(askForRoot(home.open(), later)).rejects.toThrow(/MW1611.*not one that Meshwright made/);
    expect(home.writes).toBe(0);
    expect(await rootStatus(home.open(), later)).toMatch(
      /\nmade by .*its user.*\nroot .*\nwarning {4}MW1608 CN=Corp expires/,
    );
  });

  it('says so where there is no authority, or one that cannot be read', async () => {
    using home = new SecretPlace();
    await expect(askForRoot(home.open(), 0)).rejects.toThrow('MW1610');
    home.put({ 'tls.crt': 'x', 'tls.key': 'y' });
    await expect(rootStatus(home.open(), 0)).rejects.toThrow('MW1602');
  });
});
