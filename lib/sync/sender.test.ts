import { describe, test } from 'vitest';
import type { DeltaChunk, ReceiverFrame, ReceiverHello, SenderFrame } from '../../proto/gen/headgate/v1/sync.ts';
import { HeadgateError } from '../errors.ts';
import { silentLog } from '../log.ts';
import { pipePair } from './pipe-pair.ts';
import { Publication } from './publication.ts';
import { resource, type Inventory } from './resource.ts';
import { Sender, type Acknowledgement, type SenderOptions } from './sender.ts';
import { HandEnd } from './hand-end.fixture.ts';
import { VirtualClock } from '../virtual-clock.fixture.ts';
import { encodeSenderFrame } from './wire.ts';

function setUp(options: Partial<SenderOptions> = {}) {
  const clock = new VirtualClock();
  let revision = 0n;
  const publication = new Publication(() => ({ epoch: { counter: 1n, id: 'e' }, revision }));
  const [pipe, other] = pipePair<SenderFrame, ReceiverFrame>();
  const acks: Acknowledgement[] = [];
  const stop = new AbortController();
  const sender = new Sender(pipe, publication, {
    clock,
    log: silentLog,
    signal: stop.signal,
    onAck: (ack) => acks.push(ack),
    ...options,
  });
  publication.subscribe(sender);
  const publish = (...names: string[]): void => {
    revision++;
    const upserts = names.map((name) => resource('host', name, Buffer.from(`${name} at ${revision}`)));
    publication.publish({ upserts, removals: [] });
  };
  return { clock, publication, sender, acks, stop, publish, hand: new HandEnd(other) };
}

const emptyHello: ReceiverHello = { version: 1, epoch: undefined, revision: 0n, digests: [], speaker: undefined };

function helloFor(inventory: Inventory): ReceiverHello {
  const digests = inventory.types().map((type) => ({ type, digest: Buffer.from(inventory.typeDigest(type), 'hex') }));
  return { ...emptyHello, digests };
}

async function nextDelta(hand: HandEnd<ReceiverFrame, SenderFrame>): Promise<DeltaChunk> {
  for (;;) {
    const frame = await hand.next();
    if (frame.$case === 'delta') return frame.value;
  }
}

describe('Sender', () => {
  test('equal digests get an empty end of snapshot and no body', async ({ expect }) => {
    const { publication, sender, publish, hand, acks, stop } = setUp();
    publish('a', 'b');
    const run = sender.run();
    expect((await hand.next()).$case).toBe('hello');
    hand.send({ $case: 'hello', value: helloFor(publication.inventory) });
    expect(await nextDelta(hand)).toMatchObject({ upserts: [], removals: [], last: true, endOfSnapshot: true });
    hand.send({ $case: 'ack', value: { id: 1n, refusals: [] } });
    await expect.poll(() => acks).toEqual([{ revision: 1n, refusals: [], bytes: 0 }]);
    expect(sender.bodyBytes).toBe(0);
    expect(sender.settled).toBe(true);
    stop.abort();
    await run;
  });

  test('asks for the inventory of types that differ and sends only differences', async ({ expect }) => {
    const { publication, sender, publish, hand, stop } = setUp();
    publish('same', 'changed', 'new');
    const run = sender.run();
    const digests = [
      { type: 'host', digest: Buffer.alloc(32) },
      { type: 'gone', digest: Buffer.alloc(32) },
    ];
    hand.send({ $case: 'hello', value: { ...emptyHello, digests } });
    await hand.next();
    expect(await hand.next()).toEqual({ $case: 'inventoryRequest', value: { types: ['host', 'gone'] } });
    const same = publication.inventory.get('host', 'same')?.digest ?? '';
    const entries = [
      { name: 'same', digest: Buffer.from(same, 'hex') },
      { name: 'changed', digest: Buffer.alloc(32) },
      { name: 'old', digest: Buffer.alloc(32) },
    ];
    hand.send({ $case: 'inventory', value: { type: 'host', entries: entries.slice(0, 2), last: false } });
    hand.send({ $case: 'inventory', value: { type: 'host', entries: entries.slice(2), last: true } });
    hand.send({
      $case: 'inventory',
      value: { type: 'gone', entries: [{ name: 'g', digest: Buffer.alloc(32) }], last: true },
    });
    const delta = await nextDelta(hand);
    expect(delta.upserts.map(({ name }) => name).toSorted()).toEqual(['changed', 'new']);
    expect(delta.removals).toEqual([
      { type: 'host', name: 'old' },
      { type: 'gone', name: 'g' },
    ]);
    stop.abort();
    await run;
  });

  test('one delta is outstanding; what changed meanwhile goes once, in its newest state', async ({ expect }) => {
    const { clock, sender, publish, hand, acks, stop } = setUp();
    const run = sender.run();
    hand.send({ $case: 'hello', value: emptyHello });
    expect((await nextDelta(hand)).id).toBe(1n);
    publish('a');
    publish('b');
    publish('a');
    await clock.advance(0);
    expect(hand.pipe.pending).toBe(0);
    hand.send({ $case: 'ack', value: { id: 1n, refusals: [] } });
    const delta = await nextDelta(hand);
    expect(delta).toMatchObject({ id: 2n, revision: 3n, endOfSnapshot: false });
    expect(delta.upserts.map(({ name, body }) => `${name}: ${body.toString()}`)).toEqual(['a: a at 3', 'b: b at 2']);
    const refusal = { type: 'host', name: 'a', digest: Buffer.alloc(32), code: 'HG1002', message: 'no' };
    hand.send({ $case: 'ack', value: { id: 2n, refusals: [refusal] } });
    await expect.poll(() => sender.acknowledgedRevision).toBe(3n);
    expect(acks[1]?.bytes).toBe(12);
    expect(acks[1]?.refusals[0]?.error.code).toBe('HG1002');
    stop.abort();
    await run;
  });

  test('a late acknowledgement cuts the stream', async ({ expect }) => {
    const { clock, sender, hand } = setUp();
    const failed = expect(sender.run()).rejects.toMatchObject({ code: 'HG3005' });
    hand.send({ $case: 'hello', value: emptyHello });
    await nextDelta(hand);
    for (let second = 0; second < 12; second++) {
      hand.send({ $case: 'heartbeat', value: { revision: 0n } });
      await clock.advance(1_000);
    }
    await failed;
    await expect(hand.next()).rejects.toMatchObject({ code: 'HG3005' });
  });

  test('silence ends the stream after three heartbeats', async ({ expect }) => {
    const { clock, sender, hand } = setUp({ heartbeatMs: 1_000 });
    const failed = expect(sender.run()).rejects.toMatchObject({ code: 'HG3001' });
    hand.send({ $case: 'hello', value: emptyHello });
    await clock.advance(3_100);
    await failed;
  });

  test('more than 1 MiB goes in chunks below it, made before broken', async ({ expect }) => {
    const { publication, sender, hand, stop } = setUp();
    const types = ['host', 'split', 'tomorrow', 'endpoints', 'backend', 'peer', 'own-certificate', 'settings'];
    const upserts = types.flatMap((type) =>
      [1, 2].map((n) => resource(type, `${n}`, Buffer.alloc(200_000, `${type}${n}`))),
    );
    publication.publish({ upserts, removals: [] });
    const run = sender.run();
    hand.send({ $case: 'hello', value: emptyHello });
    const chunks: DeltaChunk[] = [];
    do chunks.push(await nextDelta(hand));
    while (chunks.at(-1)?.last !== true);
    expect(new Set(chunks.map(({ id }) => id))).toEqual(new Set([1n]));
    expect(chunks.filter(({ endOfSnapshot }) => endOfSnapshot)).toEqual([chunks.at(-1)]);
    for (const value of chunks)
      expect(encodeSenderFrame({ frame: { $case: 'delta', value } }).length).toBeLessThan(2 ** 20);
    const order = chunks.flatMap((chunk) => chunk.upserts.map(({ type }) => type));
    expect([...new Set(order)]).toEqual([
      'settings',
      'own-certificate',
      'peer',
      'backend',
      'endpoints',
      'split',
      'tomorrow',
      'host',
    ]);
    hand.send({ $case: 'ack', value: { id: 1n, refusals: [] } });
    publication.publish({ upserts: [], removals: types.map((type) => ({ type, name: '1' })) });
    expect((await nextDelta(hand)).removals.map(({ type }) => type)[0]).toBe('host');
    stop.abort();
    await run;
  });

  test('a resource that no message can carry is left out and told', async ({ expect }) => {
    const { publication, sender, hand, acks, stop } = setUp();
    publication.publish({ upserts: [resource('host', 'huge', Buffer.alloc(9_000_000))], removals: [] });
    const run = sender.run();
    hand.send({ $case: 'hello', value: emptyHello });
    expect((await nextDelta(hand)).upserts).toEqual([]);
    hand.send({ $case: 'ack', value: { id: 1n, refusals: [] } });
    await expect.poll(() => acks[0]?.refusals[0]?.error.code).toBe('HG5005');
    stop.abort();
    await run;
  });

  test.for<[string, ReceiverFrame['frame'], string]>([
    ['a version too old', { $case: 'hello', value: { ...emptyHello, version: 0 } }, 'HG3002'],
    ['an acknowledgement of nothing', { $case: 'ack', value: { id: 1n, refusals: [] } }, 'HG3006'],
    ['an inventory unasked', { $case: 'inventory', value: { type: 'host', entries: [], last: true } }, 'HG3006'],
  ])('%s ends the stream', async ([, frame, code], { expect }) => {
    const { sender, hand } = setUp();
    if (frame !== undefined) hand.send(frame);
    await expect(sender.run()).rejects.toMatchObject({ code });
  });

  test('a refused speaker and an error of the receiver are seen as they are', async ({ expect }) => {
    const refused = setUp({
      admitSpeaker: () => {
        throw new HeadgateError('HG3004', 'another speaks');
      },
    });
    refused.hand.send({ $case: 'hello', value: emptyHello });
    await expect(refused.sender.run()).rejects.toMatchObject({ code: 'HG3004' });
    const broken = setUp();
    const run = broken.sender.run();
    broken.hand.pipe.close(new HeadgateError('HG3003', 'behind'));
    await expect(run).rejects.toMatchObject({ code: 'HG3003' });
    const closed = setUp();
    closed.hand.pipe.close();
    await closed.sender.run();
  });
});
