import { describe, expect, test } from 'vitest';
import { makeCsr, makeKey } from '../../lib/identity/key.ts';
import { formatToken, parseToken } from '../../lib/identity/token.ts';
import { decodeCluster } from '../fleet/stored-values.ts';
import { keys } from '../store/keys.ts';
import { certificatesFixture } from './certificates.fixture.ts';
import { tokenLifetime } from './tokens.ts';

async function csrs(): Promise<Buffer[]> {
  return [await makeCsr(await makeKey()), await makeCsr(await makeKey())];
}

describe('tokens', () => {
  test('a token is used once, by one set of keys, within an hour', async () => {
    await using fleet = await certificatesFixture();
    const { tokens, authority } = fleet;
    const line = await tokens.add('eu', 'cluster');
    expect(parseToken(line)).toMatchObject({ cluster: 'eu', role: 'cluster', rootSpki: authority.rootSpki });
    const [mine, other] = [await csrs(), await csrs()];
    expect(await tokens.redeem(line, mine, 'uid-1')).toMatchObject({ cluster: 'eu', role: 'cluster' });
    expect(await tokens.redeem(line, mine, 'uid-1')).toMatchObject({ cluster: 'eu' });
    await expect(tokens.redeem(line, other, 'uid-1')).rejects.toMatchObject({ code: 'HG2004' });
    fleet.advance(tokenLifetime + 1);
    await expect(tokens.redeem(line, mine, 'uid-1')).rejects.toMatchObject({ code: 'HG2004' });
  });

  test('of many who use a token at once, one wins', async () => {
    await using fleet = await certificatesFixture();
    const { tokens } = fleet;
    const line = await tokens.add('eu', 'cluster');
    const callers = await Promise.all(Array.from({ length: 8 }, () => csrs()));
    const results = await Promise.allSettled(callers.map((caller) => tokens.redeem(line, caller, 'uid-1')));
    expect(results.filter((result) => result.status === 'fulfilled')).toHaveLength(1);
  });

  test('the store learns no secret, and the line cannot be changed', async () => {
    await using fleet = await certificatesFixture();
    const { tokens, store } = fleet;
    const line = await tokens.add('eu', 'node');
    await tokens.add('us', 'node');
    const token = parseToken(line);
    for (const { value } of (await store.range('')).entries) {
      expect(Buffer.from(value).toString('latin1')).not.toContain(token.secret);
    }
    const forged = [
      { ...token, cluster: 'us' },
      { ...token, role: 'cluster' as const },
      { ...token, secret: 'A'.repeat(43) },
      { ...token, id: 'A'.repeat(11) },
    ];
    const answers = await Promise.allSettled(
      forged.map(async (each) => tokens.redeem(formatToken(each), await csrs(), 'uid-1')),
    );
    const reasons = new Set(answers.map((answer) => (answer.status === 'rejected' ? String(answer.reason) : 'ok')));
    expect(reasons).toEqual(new Set(['HeadgateError: the join token is not accepted']));
  });

  test('an id is bound to the UID that came first', async () => {
    await using fleet = await certificatesFixture();
    const { tokens, store, revocations } = fleet;
    const uid = async () => {
      const entry = await store.get(keys.cluster('eu'));
      return entry === undefined ? 'gone' : decodeCluster(entry).uid;
    };
    const first = await tokens.add('eu', 'cluster');
    expect(await uid()).toBeUndefined();
    await tokens.redeem(first, await csrs(), 'uid-1');
    expect(await uid()).toBe('uid-1');
    const second = await tokens.add('eu', 'cluster');
    await expect(tokens.redeem(second, await csrs(), 'uid-2')).rejects.toMatchObject({
      code: 'HG2005',
      remedy: expect.stringContaining('headgate cluster remove eu'),
    });
    await expect(tokens.redeem(second, await csrs(), '')).rejects.toMatchObject({ code: 'HG2005' });
    await tokens.redeem(second, await csrs(), 'uid-1');
    const third = await tokens.add('eu', 'cluster');
    await tokens.removeCluster('eu', revocations);
    expect(await uid()).toBe('gone');
    await expect(tokens.redeem(third, await csrs(), 'uid-1')).rejects.toMatchObject({ code: 'HG2004' });
    await tokens.redeem(await tokens.add('eu', 'cluster'), await csrs(), 'uid-2');
    expect(await uid()).toBe('uid-2');
  });

  test('wrong names are refused, and old tokens are forgotten', async () => {
    await using fleet = await certificatesFixture();
    const { tokens, store, revocations } = fleet;
    for (const name of ['', 'EU', 'a/b', '-eu', 'x'.repeat(64), 'e\nu']) {
      await expect(tokens.add(name, 'cluster')).rejects.toMatchObject({ code: 'HG1002' });
      await expect(tokens.removeCluster(name, revocations)).rejects.toMatchObject({ code: 'HG2007' });
    }
    await tokens.add('eu', 'cluster');
    fleet.advance(tokenLifetime + 1);
    await tokens.add('eu', 'cluster');
    expect((await store.range(keys.tokenPrefix)).entries).toHaveLength(1);
  });
});
