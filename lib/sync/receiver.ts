import { hash } from 'node:crypto';
import type { Clock } from '../clock.ts';
import { HeadgateError } from '../errors.ts';
import type { Log } from '../log.ts';
import type {
  DeltaChunk,
  InventoryRequest,
  ReceiverFrame,
  Resource as WireResource,
  SenderFrame,
  SenderHello,
} from '../../proto/gen/headgate/v1/sync.ts';
import { inventoryChunks } from './chunks.ts';
import { refuseBackwards, type Position } from './epoch.ts';
import { pipeHighWater, type Pipe } from './pipe.ts';
import { PROTOCOL_VERSION, type ReceiverSink, type Refusal, type Speaker } from './protocol.ts';
import type { Resource, ResourceKey } from './resource.ts';
import { StreamWatch } from './stream-watch.ts';
import { agreeVersion } from './version.ts';
import { encodedSize, resourceFromWire } from './wire.ts';

export interface ReceiverOptions {
  readonly clock: Clock;
  readonly log: Log;
  /** Who speaks, where the receiver is an agent. */
  readonly speaker?: Speaker;
  /** Milliseconds between heartbeats, three missed end the stream; default 4 s. */
  readonly heartbeatMs?: number;
  /** Ends the stream in order, after a delta that is being accepted. */
  readonly signal: AbortSignal;
  /** Judges the sender's speaker when its hello comes; throws to refuse it. */
  readonly admitSpeaker?: (speaker: Speaker | undefined) => void;
  /** Bytes that one delta may have; default 256 MiB. */
  readonly maxDeltaBytes?: number;
}

/** Milliseconds in which the sender must say hello. */
const helloDeadlineMs = 10_000;

interface Buffered {
  readonly id: bigint;
  readonly upserts: Resource[];
  readonly removals: ResourceKey[];
  readonly refusals: Refusal[];
  bytes: number;
}

/** Accepts under way, so that a stream's successor says hello only when the copy stands still. */
const accepting = new WeakMap<ReceiverSink, Promise<unknown>>();

/** The receiving end of one stream: checks what comes, has it stored durably, then acknowledges. */
export class Receiver {
  readonly #pipe: Pipe<ReceiverFrame, SenderFrame>;
  readonly #sink: ReceiverSink;
  readonly #options: ReceiverOptions;
  readonly #watch: StreamWatch;
  readonly #maxDeltaBytes: number;
  /** The sender's history, and how far this stream has brought it. */
  #position: Position | undefined;
  #snapshotEnded = false;
  #lastId = 0n;
  #buffered: Buffered | undefined;
  #failure: HeadgateError | undefined;

  constructor(pipe: Pipe<ReceiverFrame, SenderFrame>, sink: ReceiverSink, options: ReceiverOptions) {
    this.#pipe = pipe;
    this.#sink = sink;
    this.#options = options;
    this.#maxDeltaBytes = options.maxDeltaBytes ?? 256 * 1024 * 1024;
    this.#watch = new StreamWatch({
      clock: options.clock,
      heartbeatMs: options.heartbeatMs ?? 4_000,
      deadlineMs: helloDeadlineMs,
      beat: () => {
        // Behind a full queue it would tell nothing.
        if (pipe.pending < pipeHighWater)
          this.#send({ $case: 'heartbeat', value: { revision: sink.held()?.revision ?? 0n } });
      },
      fail: (error) => this.#fail(error),
    });
  }

  /**
   * Runs the stream. Resolves when the other end closes or the signal aborts; no accept is under way then.
   *
   * @throws HeadgateError HG3001 broken or silent, HG3002 version, HG3003 backwards, HG3004 speaker, HG3006
   * protocol, or what the sink rejected with.
   */
  async run(): Promise<void> {
    const { signal } = this.#options;
    const stop = (): void => this.#pipe.close();
    const watching = new AbortController();
    signal.addEventListener('abort', stop, { once: true });
    if (signal.aborted) stop();
    this.#watch.expect("the sender's hello");
    const watch = this.#watch.run(watching.signal);
    try {
      await accepting.get(this.#sink);
      this.#sendHello();
      for await (const { frame } of this.#pipe.frames) {
        this.#watch.heard();
        await this.#receive(frame);
      }
      if (this.#failure !== undefined) throw this.#failure;
    } catch (error) {
      const failure = HeadgateError.from(error);
      this.#pipe.close(failure);
      throw failure;
    } finally {
      this.#pipe.close();
      signal.removeEventListener('abort', stop);
      watching.abort();
      await watch;
    }
  }

  #sendHello(): void {
    const held = this.#sink.held();
    const { inventory } = this.#sink;
    this.#send({
      $case: 'hello',
      value: {
        version: PROTOCOL_VERSION,
        epoch: held?.epoch,
        revision: held?.revision ?? 0n,
        digests: inventory.types().map((type) => ({ type, digest: Buffer.from(inventory.typeDigest(type), 'hex') })),
        speaker: this.#options.speaker,
      },
    });
  }

  async #receive(frame: SenderFrame['frame']): Promise<void> {
    switch (frame?.$case) {
      case 'hello':
        return this.#greet(frame.value);
      case 'inventoryRequest':
        return this.#list(frame.value);
      case 'delta':
        return this.#buffer(frame.value);
      case 'heartbeat':
      case undefined: // a newer peer's frame
        return;
      default:
        frame satisfies never;
    }
  }

  #greet(hello: SenderHello): void {
    if (this.#position !== undefined) throw violation('a second hello');
    agreeVersion(hello.version);
    this.#options.admitSpeaker?.(hello.speaker);
    const offered = { epoch: hello.epoch ?? { counter: 0n, id: '' }, revision: hello.revision };
    const held = this.#sink.held();
    refuseBackwards(held, offered);
    // The hello's revision may be ahead of the first delta's, never behind what is held of this history.
    const sameHistory = held?.epoch.counter === offered.epoch.counter;
    this.#position = { epoch: offered.epoch, revision: sameHistory ? (held?.revision ?? 0n) : 0n };
    this.#watch.met();
  }

  async #list({ types }: InventoryRequest): Promise<void> {
    if (this.#position === undefined) throw violation('an inventory request before its hello');
    for (const type of types) {
      for (const { entries, last } of inventoryChunks(this.#sink.inventory.ofType(type))) {
        if (this.#pipe.pending > 0) await this.#pipe.writable();
        this.#send({ $case: 'inventory', value: { type, entries, last } });
      }
    }
  }

  async #buffer(chunk: DeltaChunk): Promise<void> {
    if (this.#position === undefined) throw violation('a delta before its hello');
    const delta = (this.#buffered ??= this.#begin(chunk.id));
    if (chunk.id !== delta.id) throw violation(`delta ${chunk.id} inside delta ${delta.id}`);
    for (const wire of chunk.upserts) {
      delta.bytes += encodedSize(wire);
      const checked = check(wire);
      if ('error' in checked) delta.refusals.push(checked);
      else delta.upserts.push(checked);
    }
    for (const { type, name } of chunk.removals) {
      delta.bytes += type.length + name.length;
      delta.removals.push({ type, name });
    }
    if (delta.bytes > this.#maxDeltaBytes) throw violation(`a delta above ${this.#maxDeltaBytes} bytes`);
    if (chunk.last) await this.#accept(delta, this.#position, chunk);
  }

  #begin(id: bigint): Buffered {
    if (id <= this.#lastId) throw violation(`delta ${id} after delta ${this.#lastId}`);
    this.#lastId = id;
    return { id, upserts: [], removals: [], refusals: [], bytes: 0 };
  }

  async #accept(delta: Buffered, position: Position, { revision, endOfSnapshot }: DeltaChunk): Promise<void> {
    const { epoch } = position;
    refuseBackwards(position, { epoch, revision });
    this.#buffered = undefined;
    this.#snapshotEnded ||= endOfSnapshot;
    // Absence, and a removal by someone who has not yet listed everything, is not deletion.
    const removals = this.#snapshotEnded ? delta.removals : [];
    const refused = await this.#watch.whileBusy(() => {
      const stored = this.#sink.accept({ epoch, revision, upserts: delta.upserts, removals, endOfSnapshot });
      const settled = stored.then(
        () => undefined,
        () => undefined,
      );
      accepting.set(this.#sink, settled);
      return stored;
    });
    this.#position = { epoch, revision };
    const refusals = [...delta.refusals, ...refused];
    for (const { type, name, error } of refusals) {
      this.#options.log.warn('resource refused', { type, resource: name, error });
    }
    this.#send({
      $case: 'ack',
      value: {
        id: delta.id,
        refusals: refusals.map(({ type, name, digest, error }) => ({
          type,
          name,
          digest: Buffer.from(digest, 'hex'),
          code: error.code,
          message: error.message,
        })),
      },
    });
  }

  #send(frame: NonNullable<ReceiverFrame['frame']>): void {
    this.#pipe.send({ frame });
  }

  #fail(error: HeadgateError): void {
    this.#failure ??= error;
    this.#pipe.close(error);
  }
}

function violation(what: string): HeadgateError {
  return new HeadgateError('HG3006', `the sender sent ${what}`);
}

/** The resource when its digest is that of the bytes that came; otherwise its refusal. */
function check(wire: WireResource): Resource | Refusal {
  const { type, name, body } = wire;
  const digest = wire.digest.toString('hex');
  const actual = hash('sha256', body, 'hex');
  if (type !== '' && name !== '' && actual === digest) return resourceFromWire(wire, digest);
  const message =
    type === '' || name === '' ? 'a resource without type or name' : `the digest of its bytes is ${actual}`;
  return { type, name, digest, error: new HeadgateError('HG3006', message) };
}
