import { EventEmitter, once } from 'node:events';
import { expect, test } from 'vitest';
import { systemClock } from '../../lib/clock.ts';
import type { HeadgateError } from '../../lib/errors.ts';
import type { Identity } from '../../lib/identity/identity.ts';
import { silentLog } from '../../lib/log.ts';
import { Publication, pipePair, Sender, SpeakerRegister } from '../../lib/sync/index.ts';
import type { ReceiverFrame, SenderFrame } from '../../proto/gen/headgate/v1/sync.ts';
import { PresenceRegister } from '../presence.ts';
import { ReportService } from './report-service.ts';
import { ingress, keysUnder, service, temporaryStore } from './ingest.fixture.ts';

const agent = (cluster: string): Identity => ({ kind: 'cluster', fleet: 'f', cluster });

async function serving(): Promise<
  {
    store: Awaited<ReturnType<typeof temporaryStore>>['store'];
    presence: PresenceRegister;
    service: ReportService;
  } & AsyncDisposable
> {
  const { store, [Symbol.asyncDispose]: dispose } = await temporaryStore();
  const presence = new PresenceRegister(systemClock);
  const stop = new AbortController();
  const service = new ReportService({
    store,
    clock: systemClock,
    log: silentLog,
    speakers: new SpeakerRegister(),
    presence,
    signal: stop.signal,
  });
  return { store, presence, service, [Symbol.asyncDispose]: async () => (stop.abort(), await dispose()) };
}

/** How a run ended: its error's code. */
function outcome(run: Promise<void>): Promise<string> {
  return run.then(
    () => 'ended',
    (error: HeadgateError) => error.code,
  );
}

/** Runs both ends of a stream. */
function connect(
  service: ReportService,
  identity: Identity,
  publication: Publication,
  count: bigint,
  instance = `i${count}`,
) {
  const [hubEnd, agentEnd] = pipePair<ReceiverFrame, SenderFrame>();
  const stop = new AbortController();
  const acknowledgements = new EventEmitter();
  const sender = new Sender(agentEnd, publication, {
    clock: systemClock,
    log: silentLog,
    speaker: { count, instance },
    signal: stop.signal,
    onAck: () => void acknowledgements.emit('ack'),
  });
  const subscription = publication.subscribe(sender);
  const serving = service.report({ identity }, hubEnd).catch((error: HeadgateError) => {
    // As the RPC server does with its handlers' errors.
    hubEnd.close(error);
    throw error;
  });
  const ends = Promise.all([outcome(serving), outcome(sender.run())]);
  return {
    ends,
    sender,
    /** The next acknowledgement. */
    acknowledged: async (): Promise<void> => void (await once(acknowledgements, 'ack')),
    stop: async (): Promise<string[]> => {
      subscription[Symbol.dispose]();
      stop.abort();
      return await ends;
    },
  };
}

test('what an agent publishes is in the store once it is acknowledged, under its identity’s cluster', async () => {
  await using hub = await serving();
  const publication = new Publication();
  publication.publish({ upserts: [ingress('shop/web', 'shop.example/'), service('shop/web', 1)], removals: [] });
  const eu = connect(hub.service, agent('eu'), publication, 1n);
  await eu.acknowledged();
  expect(await keysUnder(hub.store, 'report/')).toEqual(['report/eu/ingress/shop/web', 'report/eu/service/shop/web']);
  expect(hub.presence.connected('eu')).toBe(true);
  expect(hub.presence.heardAgoMs('eu')).toBeLessThan(10_000);
  publication.publish({
    upserts: [ingress('shop/two', 'two.example/')],
    removals: [{ type: 'service', name: 'shop/web' }],
  });
  await eu.acknowledged();
  expect(await keysUnder(hub.store, 'report/')).toEqual(['report/eu/ingress/shop/two', 'report/eu/ingress/shop/web']);
  expect(await eu.stop()).toEqual(['ended', 'ended']);
  expect(hub.presence.connected('eu')).toBe(false);

  // Nothing changed: nothing is sent again.
  const again = connect(hub.service, agent('eu'), publication, 2n);
  await again.acknowledged();
  expect(again.sender.bodyBytes).toBe(0);
  await again.stop();
});

test('one speaker per cluster: the higher count takes over, a tie is turned away and not heard', async () => {
  await using hub = await serving();
  const publication = new Publication();
  publication.publish({ upserts: [service('shop/web', 1)], removals: [] });
  const first = connect(hub.service, agent('eu'), publication, 5n, 'a');
  await first.acknowledged();
  const rival = connect(hub.service, agent('eu'), new Publication(), 5n, 'b');
  expect(await rival.ends).toEqual(['HG3004', 'HG3004']);
  expect(await keysUnder(hub.store, 'report/')).toHaveLength(1);
  publication.publish({ upserts: [service('shop/web', 2)], removals: [] });
  await first.acknowledged();

  const next = new Publication();
  next.publish({ upserts: [service('shop/next', 1)], removals: [] });
  const second = connect(hub.service, agent('eu'), next, 6n, 'c');
  await second.acknowledged();
  expect((await first.ends)[1]).toBe('HG3004');
  expect(await keysUnder(hub.store, 'report/')).toContain('report/eu/service/shop/next');
  expect(hub.presence.connected('eu')).toBe(true);
  await second.stop();
});

test('a node or a hub may not report', async () => {
  await using hub = await serving();
  const node: Identity = { kind: 'node', fleet: 'f', cluster: 'eu', node: 'n1' };
  const stream = connect(hub.service, node, new Publication(), 1n);
  expect(await stream.ends).toEqual(['HG2006', 'HG2006']);
});
