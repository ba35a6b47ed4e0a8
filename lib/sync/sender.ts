import type { Clock } from '../clock.ts';
import { codes, HeadgateError, type Code } from '../errors.ts';
import type { Log } from '../log.ts';
import type { Ack, Inventory, ReceiverFrame, ReceiverHello, SenderFrame } from '../../proto/gen/headgate/v1/sync.ts';
import { deltaChunks, entryBytes, maxResourceBytes } from './chunks.ts';
import { pipeHighWater, type Pipe } from './pipe.ts';
import { PROTOCOL_VERSION, type Refusal, type SenderSource, type Speaker } from './protocol.ts';
import type { Resource, ResourceKey } from './resource.ts';
import { StreamWatch } from './stream-watch.ts';
import { agreeVersion } from './version.ts';

/** What a receiver acknowledged. */
export interface Acknowledgement {
  readonly revision: bigint;
  /** Resources that the receiver did not take; they wait for a new digest. */
  readonly refusals: readonly Refusal[];
  /** Bytes of the bodies in the delta. */
  readonly bytes: number;
}

export interface SenderOptions {
  readonly clock: Clock;
  readonly log: Log;
  /** Who speaks, where the sender is an agent. */
  readonly speaker?: Speaker;
  /** Milliseconds until the stream is cut with HG3005; default 10 s. */
  readonly ackDeadlineMs?: number;
  /** Milliseconds between heartbeats, three missed end the stream; default 4 s. */
  readonly heartbeatMs?: number;
  /** Ends the stream in order. */
  readonly signal: AbortSignal;
  /** Judges the receiver's speaker when its hello comes; throws to refuse it. */
  readonly admitSpeaker?: (speaker: Speaker | undefined) => void;
  readonly onAck?: (ack: Acknowledgement) => void;
}

/** Bytes of inventory entries that one receiver may make the sender hold while it compares. */
const maxInventoryBytes = 256 * 1024 * 1024;

interface Outstanding {
  readonly id: bigint;
  readonly revision: bigint;
  readonly bytes: number;
  readonly unsent: readonly Refusal[];
  complete: boolean;
}

/**
 * The sending end of one stream: brings a receiver's copy to what the source holds and keeps it there. One
 * delta is outstanding at most; what changes meanwhile goes, in its newest state, after the acknowledgement.
 */
export class Sender {
  readonly #pipe: Pipe<SenderFrame, ReceiverFrame>;
  readonly #source: SenderSource;
  readonly #options: SenderOptions;
  readonly #watch: StreamWatch;
  /** Keys whose state the receiver may not have, by type and name. */
  readonly #dirty = new Map<string, ResourceKey>();
  /** Types whose inventories are being listed by the receiver. */
  readonly #listing = new Map<string, Map<string, string>>();
  #phase: 'hello' | 'listing' | 'snapshot' | 'streaming' | 'ended' = 'hello';
  #listedBytes = 0;
  #outstanding: Outstanding | undefined;
  #lastId = 0n;
  #flushQueued = false;
  #failure: HeadgateError | undefined;
  #acknowledgedRevision: bigint | undefined;
  #bodyBytes = 0;

  constructor(pipe: Pipe<SenderFrame, ReceiverFrame>, source: SenderSource, options: SenderOptions) {
    this.#pipe = pipe;
    this.#source = source;
    this.#options = options;
    this.#watch = new StreamWatch({
      clock: options.clock,
      heartbeatMs: options.heartbeatMs ?? 4_000,
      deadlineMs: options.ackDeadlineMs ?? 10_000,
      beat: () => {
        // Behind a full queue it would tell nothing.
        if (pipe.pending < pipeHighWater) this.#send({ $case: 'heartbeat', value: { revision: source.revision() } });
      },
      fail: (error) => this.#fail(error),
    });
  }

  /** Revision of the last acknowledged delta; `undefined` before the first. */
  get acknowledgedRevision(): bigint | undefined {
    return this.#acknowledgedRevision;
  }

  /** True while the receiver has acknowledged everything the source held when it last changed. */
  get settled(): boolean {
    return this.#phase === 'streaming' && this.#outstanding === undefined && this.#dirty.size === 0;
  }

  /** Bytes of resource bodies sent on this stream so far. */
  get bodyBytes(): number {
    return this.#bodyBytes;
  }

  /** The owner has changed these keys of its inventory. Costs what changed. */
  changed(keys: Iterable<ResourceKey>): void {
    // Until the snapshot is compared, comparing finds out by itself.
    if (this.#phase === 'hello' || this.#phase === 'ended') return;
    for (const key of keys) this.#mark(key);
    if (this.#flushQueued) return;
    this.#flushQueued = true;
    queueMicrotask(() => {
      this.#flushQueued = false;
      this.#flush();
    });
  }

  /**
   * Runs the stream. Resolves when the other end closes or the signal aborts.
   *
   * @throws HeadgateError HG3001 broken or silent, HG3002 version, HG3004 speaker, HG3005 deadline, HG3006
   * protocol, or what the receiver closed it with (HG3003 and others).
   */
  async run(): Promise<void> {
    const { signal, speaker } = this.#options;
    const stop = (): void => this.#pipe.close();
    const watching = new AbortController();
    signal.addEventListener('abort', stop, { once: true });
    if (signal.aborted) stop();
    this.#watch.expect("the receiver's hello");
    const watch = this.#watch.run(watching.signal);
    try {
      this.#send({
        $case: 'hello',
        value: { version: PROTOCOL_VERSION, epoch: this.#source.epoch(), revision: this.#source.revision(), speaker },
      });
      for await (const { frame } of this.#pipe.frames) {
        this.#watch.heard();
        this.#receive(frame);
      }
      if (this.#failure !== undefined) throw this.#failure;
    } catch (error) {
      const failure = HeadgateError.from(error);
      this.#pipe.close(failure);
      throw failure;
    } finally {
      this.#phase = 'ended';
      this.#dirty.clear();
      this.#pipe.close();
      signal.removeEventListener('abort', stop);
      watching.abort();
      await watch;
    }
  }

  #receive(frame: ReceiverFrame['frame']): void {
    switch (frame?.$case) {
      case 'hello':
        return this.#compareDigests(frame.value);
      case 'inventory':
        return this.#compareInventory(frame.value);
      case 'ack':
        return this.#acknowledge(frame.value);
      case 'heartbeat':
      case undefined: // a newer peer's frame
        return;
      default:
        frame satisfies never;
    }
  }

  #compareDigests(hello: ReceiverHello): void {
    if (this.#phase !== 'hello') throw violation('a second hello');
    agreeVersion(hello.version);
    this.#options.admitSpeaker?.(hello.speaker);
    const { inventory } = this.#source;
    const theirs = new Map(hello.digests.map(({ type, digest }) => [type, digest.toString('hex')]));
    for (const type of inventory.types()) {
      if (!theirs.has(type)) for (const held of inventory.ofType(type)) this.#mark(held);
    }
    for (const [type, digest] of theirs) {
      if (inventory.typeDigest(type) !== digest) this.#listing.set(type, new Map());
    }
    this.#phase = 'listing';
    if (this.#listing.size === 0) return this.#startStreaming();
    this.#watch.expect("the receiver's inventory");
    this.#send({ $case: 'inventoryRequest', value: { types: [...this.#listing.keys()] } });
  }

  #compareInventory({ type, entries, last }: Inventory): void {
    const listed = this.#listing.get(type);
    if (this.#phase !== 'listing' || listed === undefined) throw violation('an inventory that was not asked for');
    this.#watch.expect("the receiver's inventory");
    for (const entry of entries) {
      this.#listedBytes += entryBytes(entry);
      listed.set(entry.name, entry.digest.toString('hex'));
    }
    if (this.#listedBytes > maxInventoryBytes) throw violation(`an inventory above ${maxInventoryBytes} bytes`);
    if (!last) return;
    this.#listing.delete(type);
    // What was marked while the list was under way is compared afresh, so nothing equal is sent.
    for (const [id, key] of this.#dirty) if (key.type === type) this.#dirty.delete(id);
    for (const held of this.#source.inventory.ofType(type)) {
      if (listed.get(held.name) !== held.digest) this.#mark(held);
      listed.delete(held.name);
    }
    for (const name of listed.keys()) this.#mark({ type, name });
    if (this.#listing.size === 0) this.#startStreaming();
  }

  #startStreaming(): void {
    this.#watch.met();
    this.#phase = 'snapshot';
    this.#flush();
  }

  #acknowledge(ack: Ack): void {
    const outstanding = this.#outstanding;
    if (outstanding?.complete !== true || ack.id !== outstanding.id) {
      throw violation(`an acknowledgement of delta ${ack.id}, which is not outstanding`);
    }
    this.#watch.met();
    this.#outstanding = undefined;
    this.#acknowledgedRevision = outstanding.revision;
    const refusals = [...outstanding.unsent, ...ack.refusals.map(refusalFrom)];
    for (const { type, name, error } of refusals) {
      this.#options.log.warn('resource refused', { type, resource: name, error });
    }
    this.#options.onAck?.({ revision: outstanding.revision, refusals, bytes: outstanding.bytes });
    this.#flush();
  }

  #flush(): void {
    const first = this.#phase === 'snapshot';
    if (this.#outstanding !== undefined || !(first || (this.#phase === 'streaming' && this.#dirty.size > 0))) return;
    this.#phase = 'streaming';
    this.#sendDelta(first).catch((error: unknown) => this.#fail(HeadgateError.from(error)));
  }

  async #sendDelta(first: boolean): Promise<void> {
    const upserts: Resource[] = [];
    const removals: ResourceKey[] = [];
    const unsent: Refusal[] = [];
    let bytes = 0;
    for (const key of this.#dirty.values()) {
      const held = this.#source.inventory.get(key.type, key.name);
      if (held === undefined) removals.push(key);
      else if (held.body.length > maxResourceBytes) unsent.push(tooLarge(held));
      else {
        upserts.push(held);
        bytes += held.body.length;
      }
    }
    this.#dirty.clear();
    const id = ++this.#lastId;
    const revision = this.#source.revision();
    const outstanding = { id, revision, bytes, unsent, complete: false };
    this.#outstanding = outstanding;
    for (const chunk of deltaChunks(id, revision, upserts, removals, first)) {
      this.#watch.expect(`delta ${id}`);
      if (this.#pipe.pending > 0) await this.#pipe.writable();
      if (chunk.last) outstanding.complete = true;
      for (const { body } of chunk.upserts) this.#bodyBytes += body.length;
      this.#send({ $case: 'delta', value: chunk });
    }
    // It starts when all but two chunks have left, so a long delta is not cut for its length.
    this.#watch.expect(`the acknowledgement of delta ${id}`);
  }

  #mark({ type, name }: ResourceKey): void {
    this.#dirty.set(`${type}\0${name}`, { type, name });
  }

  #send(frame: NonNullable<SenderFrame['frame']>): void {
    this.#pipe.send({ frame });
  }

  #fail(error: HeadgateError): void {
    this.#failure ??= error;
    this.#pipe.close(error);
  }
}

function violation(what: string): HeadgateError {
  return new HeadgateError('HG3006', `the receiver sent ${what}`);
}

function tooLarge({ type, name, digest, body }: Resource): Refusal {
  const error = new HeadgateError('HG5005', `${body.length} bytes are more than ${maxResourceBytes}`, {
    object: `${type} ${name}`,
  });
  return { type, name, digest, error };
}

function refusalFrom({ type, name, digest, code, message }: Ack['refusals'][number]): Refusal {
  const known: Code = Object.hasOwn(codes, code) ? (code as Code) : 'HG3006';
  return { type, name, digest: digest.toString('hex'), error: new HeadgateError(known, message) };
}
