import { performance } from 'node:perf_hooks';
import { beforeAll, test } from 'vitest';
import { systemClock } from '../../lib/clock.ts';
import { HeadgateError } from '../../lib/errors.ts';
import { silentLog } from '../../lib/log.ts';
import { dialRpc, serveRpc } from '../../lib/rpc/index.ts';
import { euIdentity, hubIdentity, testFleet, type TestCredentials } from '../../lib/rpc/rpc.fixture.ts';
import { Inventory, Publication, Receiver, resource, Sender, type ReceiverSink } from '../../lib/sync/index.ts';
import { startFaultProxy } from './fault-proxy.ts';

let hubTls: TestCredentials;
let euTls: TestCredentials;

beforeAll(async () => {
  const fleet = await testFleet();
  hubTls = await fleet.issue(hubIdentity);
  euTls = await fleet.issue(euIdentity);
});

function sinkInto(inventory: Inventory): ReceiverSink {
  return {
    inventory,
    held: () => undefined,
    accept: (delta) => {
      inventory.apply(delta);
      return Promise.resolve([]);
    },
  };
}

/** How long after `since` an end of a stream noticed, and what it was told. */
async function noticed(run: Promise<void>, since: () => number): Promise<{ seconds: number; code: string }> {
  try {
    await run;
  } catch (error) {
    return { seconds: (performance.now() - since()) / 1_000, code: HeadgateError.from(error).code };
  }
  return { seconds: (performance.now() - since()) / 1_000, code: 'ended in order' };
}

interface Run {
  readonly heartbeatMs: number;
}

/** A real Report and Configure pair through the proxy; gives when each of the four ends saw the silence. */
async function halfOpen({ heartbeatMs }: Run): Promise<Record<string, { seconds: number; code: string }>> {
  const stop = new AbortController();
  const options = { clock: systemClock, log: silentLog, signal: stop.signal, heartbeatMs };
  const [configuration, reports] = [new Publication(), new Publication()];
  configuration.publish({ upserts: [resource('host', 'shop.example', Buffer.from('v1'))], removals: [] });
  reports.publish({ upserts: [resource('ingress', 'shop/shop', Buffer.from('v1'))], removals: [] });
  const [atHub, atAgent] = [new Inventory(), new Inventory()];
  let silentSince = 0;
  const since = (): number => silentSince;
  const hubReport = Promise.withResolvers<{ seconds: number; code: string }>();
  const hubConfigure = Promise.withResolvers<{ seconds: number; code: string }>();
  const acknowledged = Promise.withResolvers<void>();

  await using server = await serveRpc({
    address: '127.0.0.1:0',
    role: 'hub',
    tls: hubTls,
    log: silentLog,
    signal: stop.signal,
    admit: () => true,
    services: {
      report: async (_caller, pipe) => {
        const run = new Receiver(pipe, sinkInto(atHub), options).run();
        hubReport.resolve(await noticed(run, since));
      },
      configure: async (_caller, pipe) => {
        const sender = new Sender(pipe, configuration, { ...options, onAck: () => acknowledged.resolve() });
        using _ = configuration.subscribe(sender);
        hubConfigure.resolve(await noticed(sender.run(), since));
      },
    },
  });
  await using proxy = await startFaultProxy(server.address);
  using connection = dialRpc({ address: proxy.address, tls: euTls, expect: ({ kind }) => kind === 'hub' });
  const reported = Promise.withResolvers<void>();
  const sender = new Sender(connection.report(), reports, { ...options, onAck: () => reported.resolve() });
  const agentReport = noticed(sender.run(), since);
  const agentConfigure = noticed(new Receiver(connection.configure(), sinkInto(atAgent), options).run(), since);
  await Promise.all([acknowledged.promise, reported.promise]);

  silentSince = performance.now();
  proxy.faults.halfOpen = true;
  const result = {
    'agent report': await agentReport,
    'agent configure': await agentConfigure,
    'hub report': await hubReport.promise,
    'hub configure': await hubConfigure.promise,
  };
  stop.abort();
  return result;
}

test('promise-17 a half-open link is seen', { timeout: 60_000 }, async ({ expect }) => {
  const [asShipped, keepaliveAlone] = await Promise.all([
    halfOpen({ heartbeatMs: 4_000 }),
    // Heartbeats so rare that the transport has to see it.
    halfOpen({ heartbeatMs: 60_000 }),
  ]);
  const lines = Object.entries({ 'as shipped': asShipped, 'keepalive alone': keepaliveAlone }).flatMap(([name, ends]) =>
    Object.entries(ends).map(([end, { seconds, code }]) => `${name}, ${end}: ${seconds.toFixed(1)} s (${code})`),
  );
  process.stdout.write(`half-open link seen after\n  ${lines.join('\n  ')}\n`);
  for (const { seconds, code } of [...Object.values(asShipped), ...Object.values(keepaliveAlone)]) {
    expect(code).toBe('HG3001');
    // 10 s until the next keepalive, 4 s for its answer, and room for a busy machine.
    expect(seconds).toBeLessThan(17);
  }
});
