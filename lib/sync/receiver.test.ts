import { describe, test } from 'vitest';
import type { DeltaChunk, ReceiverFrame, SenderFrame, SenderHello } from '../../proto/gen/headgate/v1/sync.ts';
import { HeadgateError } from '../errors.ts';
import { silentLog } from '../log.ts';
import type { Position } from './epoch.ts';
import { pipePair } from './pipe-pair.ts';
import type { AcceptedDelta, ReceiverSink } from './protocol.ts';
import { Receiver, type ReceiverOptions } from './receiver.ts';
import { Inventory, resource } from './resource.ts';
import { HandEnd } from './hand-end.fixture.ts';
import { VirtualClock } from '../virtual-clock.fixture.ts';
import { wireResource } from './wire.ts';

const epoch = { counter: 2n, id: 'e' };
const hello: SenderHello = { version: 1, epoch, revision: 5n, speaker: undefined };

function setUp(held?: Position, options: Partial<ReceiverOptions> = {}) {
  const clock = new VirtualClock();
  const accepted: AcceptedDelta[] = [];
  const inventory = new Inventory();
  let position = held;
  const sink: ReceiverSink & { store: (delta: AcceptedDelta) => Promise<void> } = {
    inventory,
    held: () => position,
    store: () => Promise.resolve(),
    accept: async (delta) => {
      await sink.store(delta);
      accepted.push(delta);
      inventory.apply(delta);
      position = delta;
      return [];
    },
  };
  const stop = new AbortController();
  const open = () => {
    const [other, pipe] = pipePair<SenderFrame, ReceiverFrame>();
    const receiver = new Receiver(pipe, sink, { clock, log: silentLog, signal: stop.signal, ...options });
    return { receiver, hand: new HandEnd(other) };
  };
  return { clock, accepted, sink, inventory, stop, open, ...open() };
}

function chunk(fields: Partial<DeltaChunk>): SenderFrame['frame'] & object {
  const value = { id: 1n, revision: 5n, upserts: [], removals: [], last: true, endOfSnapshot: true, ...fields };
  return { $case: 'delta', value };
}

const shop = resource('host', 'shop', Buffer.from('1'));

describe('Receiver', () => {
  test('takes effect as a whole at the last chunk and acknowledges after storing', async ({ expect }) => {
    const { receiver, hand, accepted, sink, stop, clock } = setUp();
    const storing = Promise.withResolvers<void>();
    sink.store = () => storing.promise;
    const run = receiver.run();
    expect(await hand.next()).toMatchObject({ $case: 'hello', value: { version: 1, revision: 0n, digests: [] } });
    hand.send({ $case: 'hello', value: hello });
    hand.send(chunk({ upserts: [wireResource(shop)], last: false, endOfSnapshot: false }));
    hand.send(chunk({ removals: [{ type: 'host', name: 'old' }] }));
    await clock.advance(0);
    expect(hand.pipe.pending).toBe(0);
    expect(accepted).toEqual([]);
    storing.resolve();
    expect(await hand.next()).toEqual({ $case: 'ack', value: { id: 1n, refusals: [] } });
    expect(accepted).toEqual([
      { epoch, revision: 5n, upserts: [shop], removals: [{ type: 'host', name: 'old' }], endOfSnapshot: true },
    ]);
    stop.abort();
    await run;
  });

  test('removals before the end of the snapshot do not count', async ({ expect }) => {
    const { receiver, hand, accepted, stop } = setUp();
    const run = receiver.run();
    hand.send({ $case: 'hello', value: hello });
    const removals = [{ type: 'host', name: 'old' }];
    hand.send(chunk({ removals, endOfSnapshot: false }));
    hand.send(chunk({ id: 2n }));
    hand.send(chunk({ id: 3n, removals, endOfSnapshot: false }));
    for (let frames = 0; frames < 4; frames++) await hand.next();
    expect(accepted.map((delta) => delta.removals.length)).toEqual([0, 0, 1]);
    stop.abort();
    await run;
  });

  test('a resource whose bytes are not its digest’s is refused by name; the rest stands', async ({ expect }) => {
    const { receiver, hand, accepted, stop } = setUp();
    const run = receiver.run();
    hand.send({ $case: 'hello', value: hello });
    const forged = { ...wireResource(resource('host', 'bad', Buffer.from('1'))), body: Buffer.from('2') };
    hand.send(chunk({ upserts: [forged, wireResource(shop), { ...forged, name: '' }] }));
    await hand.next();
    const ack = await hand.next();
    expect(ack).toMatchObject({
      value: {
        refusals: [
          { name: 'bad', code: 'HG3006' },
          { name: '', code: 'HG3006' },
        ],
      },
    });
    expect(accepted[0]?.upserts).toEqual([shop]);
    stop.abort();
    await run;
  });

  test('lists its inventory where asked', async ({ expect }) => {
    const { receiver, hand, inventory, stop } = setUp({ epoch, revision: 1n });
    for (let n = 0; n < 30_000; n++) inventory.set(resource('host', `host-${n}`, Buffer.from(`${n}`)));
    const run = receiver.run();
    const first = await hand.next();
    expect(first.$case === 'hello' && first.value.digests[0]?.digest.toString('hex')).toBe(
      inventory.typeDigest('host'),
    );
    hand.send({ $case: 'hello', value: hello });
    hand.send({ $case: 'inventoryRequest', value: { types: ['host', 'none'] } });
    let entries = 0;
    const lasts: string[] = [];
    while (lasts.length < 2) {
      const frame = await hand.next();
      if (frame.$case !== 'inventory') continue;
      entries += frame.value.entries.length;
      if (frame.value.last) lasts.push(frame.value.type);
    }
    expect(entries).toBe(30_000);
    expect(lasts).toEqual(['host', 'none']);
    stop.abort();
    await run;
  });

  test.for<[string, Position, Position, boolean]>([
    ['the same position', { epoch, revision: 5n }, { epoch, revision: 5n }, true],
    ['a later revision', { epoch, revision: 4n }, { epoch, revision: 5n }, true],
    ['an earlier revision', { epoch, revision: 6n }, { epoch, revision: 5n }, false],
    ['a lower epoch', { epoch: { counter: 3n, id: 'f' }, revision: 1n }, { epoch, revision: 5n }, false],
    ['another history', { epoch: { counter: 2n, id: 'x' }, revision: 1n }, { epoch, revision: 5n }, false],
    ['a higher epoch', { epoch: { counter: 1n, id: 'x' }, revision: 9n }, { epoch, revision: 5n }, true],
  ])('never backwards: %s', async ([, held, offered, taken], { expect }) => {
    const { receiver, hand, stop } = setUp(held);
    const run = receiver.run();
    await hand.next();
    hand.send({ $case: 'hello', value: { ...hello, ...offered } });
    hand.send(chunk({ revision: offered.revision }));
    if (taken) {
      expect((await hand.next()).$case).toBe('ack');
      stop.abort();
      await run;
    } else {
      await expect(run).rejects.toMatchObject({ code: 'HG3003' });
      await expect(hand.next()).rejects.toMatchObject({ code: 'HG3003' });
    }
  });

  test('a delta behind the one before it is refused', async ({ expect }) => {
    const { receiver, hand } = setUp();
    const run = receiver.run();
    hand.send({ $case: 'hello', value: hello });
    hand.send(chunk({}));
    hand.send(chunk({ id: 2n, revision: 4n }));
    await expect(run).rejects.toMatchObject({ code: 'HG3003' });
  });

  test.for<[string, readonly SenderFrame['frame'][]]>([
    ['a delta before the hello', [chunk({})]],
    [
      'a second hello',
      [
        { $case: 'hello', value: hello },
        { $case: 'hello', value: hello },
      ],
    ],
    ['an id again', [{ $case: 'hello', value: hello }, chunk({}), chunk({})]],
    ['a delta inside another', [{ $case: 'hello', value: hello }, chunk({ last: false }), chunk({ id: 2n })]],
    ['a delta too large', [{ $case: 'hello', value: hello }, chunk({ upserts: [wireResource(shop)] })]],
  ])('%s ends the stream', async ([what, frames], { expect }) => {
    const { receiver, hand } = setUp(undefined, what === 'a delta too large' ? { maxDeltaBytes: 20 } : {});
    for (const frame of frames) hand.pipe.send({ frame });
    await expect(receiver.run()).rejects.toMatchObject({ code: 'HG3006' });
  });

  test('what the store refuses ends the stream unacknowledged', async ({ expect }) => {
    const { receiver, hand, sink } = setUp();
    sink.store = () => Promise.reject(new HeadgateError('HG2003', 'the disk is full'));
    const run = receiver.run();
    await hand.next();
    hand.send({ $case: 'hello', value: hello });
    hand.send(chunk({}));
    await expect(run).rejects.toMatchObject({ code: 'HG2003' });
    await expect(hand.next()).rejects.toMatchObject({ code: 'HG2003' });
  });

  test('a slow store is not silence, but a hung one says nothing either', async ({ expect }) => {
    const { clock, receiver, hand, sink, stop } = setUp(undefined, { heartbeatMs: 1_000 });
    sink.store = () => clock.sleep(8_000);
    const run = receiver.run();
    await hand.next();
    hand.send({ $case: 'hello', value: hello });
    hand.send(chunk({}));
    await clock.advance(8_500);
    let frame = await hand.next();
    while (frame.$case === 'heartbeat') frame = await hand.next();
    expect(frame.$case).toBe('ack');
    stop.abort();
    await run;
  });

  test('its successor says hello only when the copy stands still', async ({ expect }) => {
    const { clock, receiver, hand, sink, open, stop } = setUp();
    const storing = Promise.withResolvers<void>();
    sink.store = () => storing.promise;
    const run = receiver.run();
    await hand.next();
    hand.send({ $case: 'hello', value: hello });
    hand.send(chunk({ upserts: [wireResource(shop)] }));
    await clock.advance(0);
    hand.pipe.close(new HeadgateError('HG3001', 'cut'));
    const next = open();
    const nextRun = next.receiver.run();
    await clock.advance(0);
    expect(next.hand.pipe.pending).toBe(0);
    storing.resolve();
    const second = await next.hand.next();
    expect(second.$case === 'hello' && second.value.digests.length).toBe(1);
    await expect(run).rejects.toMatchObject({ code: 'HG3001' });
    stop.abort();
    await nextRun;
  });
});
