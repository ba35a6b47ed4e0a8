import { expect, test } from 'vitest';
import { silentLog } from '../log.ts';
import { startOps } from './ops-server.ts';
import { createRegistry } from './registry.ts';

const absent = (): Promise<string> => Promise.reject(new Error('not running'));

test('says why it is not ready, also where a check throws, and lives on', async () => {
  let why: string | undefined = 'the store\nis away';
  const checks = [
    { name: 'store', check: () => why, note: () => (why === undefined ? 'it was away\nonce' : '') },
    {
      name: 'fleet',
      check: () => {
        if (why !== undefined) throw new Error('cannot be read');
        return undefined;
      },
    },
  ];
  const registry = createRegistry('hub');
  const address = { host: '127.0.0.1', port: 0 };
  await using ops = await startOps({ address, registry, checks, more: absent, log: silentLog });
  const get = async (path: string): Promise<[number, string]> => {
    const answer = await fetch(`http://${ops.address}${path}`);
    return [answer.status, await answer.text()];
  };
  const failed = '[-]store failed: the store\\u000ais away\n[-]fleet failed: HG9001 cannot be read\nnot ready\n';
  expect(await get('/readyz')).toEqual([503, failed]);
  expect(await get('/readyz/fleet')).toEqual([503, '[-]fleet failed: HG9001 cannot be read\nnot ready\n']);
  expect(await get('/livez')).toEqual([200, 'ok\n']);
  why = undefined;
  expect(await get('/readyz')).toEqual([200, 'ok\n']);
  expect(await get('/healthz?verbose')).toEqual([200, '[+]store ok: it was away\\u000aonce\n[+]fleet ok\nok\n']);
  expect((await get('/readyz/nothing'))[0]).toBe(404);
  expect((await get('/metrics/fleet'))[0]).toBe(404);
  const [status, metrics] = await get('/metrics');
  expect([status, metrics.includes('headgate_build_info{')]).toEqual([200, true]);
  expect(metrics).not.toMatch(/ Nan$/m);
});
