import { test } from 'vitest';
import { silentLog } from '../../lib/log.ts';
import { VirtualClock } from '../../lib/virtual-clock.fixture.ts';
import { Prober } from './prober.ts';

test('an address that is none counts as one that does not answer', async ({ expect }) => {
  const clock = new VirtualClock();
  const ending = new AbortController();
  const said: string[] = [];
  const prober = new Prober({
    peers: () => [
      {
        cluster: 'us',
        addresses: ['no address', '#?'],
        serverName: 'us.gateway.headgate',
        cordoned: false,
        staleMs: 0n,
      },
    ],
    credentials: () => ({ certificate: '', privateKey: '', ca: '' }),
    onReachable: (cluster, reachable) => said.push(`${cluster} ${reachable}`),
    routes: () => [],
    onRoute: () => undefined,
    clock,
    log: silentLog,
  });
  const running = prober.run(ending.signal);
  await clock.advance(60_000, () => said.length > 0);
  ending.abort();
  await running;
  expect(said).toEqual(['us false']);
});
