import { test } from 'vitest';
import { systemClock } from '../../lib/clock.ts';
import { silentLog } from '../../lib/log.ts';
import { dialRpc, serveRpc, withReconnect } from '../../lib/rpc/index.ts';
import { euIdentity, hubIdentity, testFleet } from '../../lib/rpc/rpc.fixture.ts';
import { Inventory, Publication, Receiver, resource, Sender, type Position } from '../../lib/sync/index.ts';
import { startFaultProxy } from './fault-proxy.ts';

test('configuration reaches an agent over a slow link that is cut, and a reconnect costs nothing', async ({
  expect,
}) => {
  const fleet = await testFleet();
  const stop = new AbortController();
  const options = { clock: systemClock, log: silentLog, signal: stop.signal };
  let revision = 1n;
  const publication = new Publication(() => ({ epoch: { counter: 1n, id: 'e' }, revision }));
  const publish = (name: string, bytes: number): void => {
    revision++;
    const upserts = [resource('host', name, Buffer.alloc(bytes, `${revision} `))];
    publication.publish({ upserts, removals: [{ type: 'host', name: `${name}-old` }] });
  };
  for (let n = 0; n < 20; n++) publish(`big-${n}`, 100_000);

  const finished: number[] = [];
  await using server = await serveRpc({
    address: '127.0.0.1:0',
    role: 'hub',
    tls: await fleet.issue(hubIdentity),
    log: silentLog,
    signal: stop.signal,
    admit: () => true,
    services: {
      configure: async (_caller, pipe) => {
        const sender = new Sender(pipe, publication, options);
        using _ = publication.subscribe(sender);
        try {
          await sender.run();
        } finally {
          finished.push(sender.bodyBytes);
        }
      },
    },
  });
  await using proxy = await startFaultProxy(server.address);
  proxy.faults.delayMs = 2;
  proxy.faults.bytesPerSecond = 20_000_000;

  const copy = new Inventory();
  let held: Position | undefined;
  let snapshots = 0;
  const sink = {
    inventory: copy,
    held: () => held,
    accept: (delta: Parameters<Inventory['apply']>[0] & Position & { readonly endOfSnapshot: boolean }) => {
      copy.apply(delta);
      held = { epoch: delta.epoch, revision: delta.revision };
      if (delta.endOfSnapshot) snapshots++;
      return Promise.resolve([]);
    },
  };
  const tls = await fleet.issue(euIdentity);
  const agent = withReconnect(
    [proxy.address],
    async (address) => {
      using connection = dialRpc({ address, tls, expect: ({ kind }) => kind === 'hub' });
      await new Receiver(connection.configure(), sink, options).run();
    },
    { ...options, firstMs: 50, baseMs: 50, capMs: 100 },
  );

  for (let round = 0; round < 5; round++) {
    await expect.poll(() => proxy.accepted, { timeout: 10_000 }).toBeGreaterThan(round);
    for (let n = 0; n < 10; n++) publish(`shop-${n % 7}`, 50_000);
    proxy.cut();
  }
  const same = (): boolean => copy.typeDigest('host') === publication.inventory.typeDigest('host');
  await expect.poll(same, { timeout: 10_000 }).toBe(true);

  // Twice more, with nothing changed: the first ends the stream that brought it here.
  for (let round = 0; round < 2; round++) {
    const before = snapshots;
    proxy.cut();
    await expect.poll(() => snapshots, { timeout: 10_000 }).toBe(before + 1);
  }
  proxy.cut();
  const count = finished.length;
  await expect.poll(() => finished.length, { timeout: 10_000 }).toBeGreaterThan(count);
  expect(finished.at(-1)).toBe(0);
  stop.abort();
  await agent;
});
