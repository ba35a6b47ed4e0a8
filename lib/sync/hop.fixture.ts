import type { ReceiverFrame, SenderFrame } from '../../proto/gen/headgate/v1/sync.ts';
import { HeadgateError } from '../errors.ts';
import { silentLog } from '../log.ts';
import type { Position } from './epoch.ts';
import type { Pipe } from './pipe.ts';
import { pipePair } from './pipe-pair.ts';
import type { AcceptedDelta, ReceiverSink, Refusal } from './protocol.ts';
import { Publication } from './publication.ts';
import { Receiver } from './receiver.ts';
import type { Inventory } from './resource.ts';
import { Sender, type Acknowledgement } from './sender.ts';
import type { VirtualClock } from '../virtual-clock.fixture.ts';

/** What tests may do to a hop; times in milliseconds of the virtual clock. */
export interface Faults {
  /** Upper bound of a frame's delay. */
  delayMs: number;
  /** Upper bound of the time that storing takes. */
  storeMs: number;
  /** Chance that storing fails. */
  storeFails: number;
}

/** A copy that survives its process, and what the process publishes of it. */
export class Copy {
  readonly publication = new Publication(() => this.position);
  position: Position | undefined;
  #generation = 0;

  get inventory(): Inventory {
    return this.publication.inventory;
  }

  /** Ends the process: what is being stored now is lost or kept, as the caller's coin falls. */
  restart(keep: boolean): void {
    if (!keep) this.#generation++;
  }

  /** The sink of one process life. */
  sink(clock: VirtualClock, faults: Faults, audit: (delta: AcceptedDelta) => void): ReceiverSink {
    const { inventory } = this;
    return {
      inventory,
      held: () => this.position,
      accept: async (delta): Promise<readonly Refusal[]> => {
        const generation = this.#generation;
        await clock.sleep(clock.random() * faults.storeMs);
        if (clock.random() < faults.storeFails) throw new HeadgateError('HG2003', 'the disk is full');
        if (generation !== this.#generation) throw new HeadgateError('HG9001', 'the process ended before it stored');
        audit(delta);
        this.position = { epoch: delta.epoch, revision: delta.revision };
        this.publication.publish(delta);
        return [];
      },
    };
  }
}

/** One hop: a sender and a receiver that reconnect for ever over a link that can be cut. */
export class Hop {
  readonly acks: Acknowledgement[] = [];
  readonly errors: string[] = [];
  bodyBytes = 0;
  outstandingTooMany = 0;
  #cut: () => void = () => undefined;
  #sink: ReceiverSink;
  readonly #clock: VirtualClock;
  readonly #from: Copy;
  readonly #to: Copy;
  readonly #faults: Faults;
  readonly #audit: (delta: AcceptedDelta) => void;

  constructor(clock: VirtualClock, from: Copy, to: Copy, faults: Faults, audit: (delta: AcceptedDelta) => void) {
    this.#clock = clock;
    this.#from = from;
    this.#to = to;
    this.#faults = faults;
    this.#audit = audit;
    this.#sink = to.sink(clock, faults, audit);
  }

  cut(): void {
    this.#cut();
  }

  restartReceiver(keep: boolean): void {
    this.#to.restart(keep);
    this.#sink = this.#to.sink(this.#clock, this.#faults, this.#audit);
    this.#cut();
  }

  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      // A relay that does not hold a whole copy yet stays silent.
      if (this.#from.position !== undefined) await this.#connect(signal);
      try {
        await this.#clock.sleep(this.#clock.random() * 3_000, signal);
      } catch {
        return;
      }
    }
  }

  async #connect(signal: AbortSignal): Promise<void> {
    const [left, nearLeft] = pipePair<SenderFrame, ReceiverFrame>();
    const [nearRight, right] = pipePair<SenderFrame, ReceiverFrame>();
    this.#cut = () => {
      const broken = new HeadgateError('HG3001', 'the link was cut');
      nearLeft.close(broken);
      nearRight.close(broken);
    };
    const common = { clock: this.#clock, log: silentLog, signal };
    const sender = new Sender(left, this.#from.publication, { ...common, onAck: (ack) => this.acks.push(ack) });
    using _ = this.#from.publication.subscribe(sender);
    const receiver = new Receiver(right, this.#sink, common);
    const pumps = [this.#pump(nearLeft, nearRight), this.#pump(nearRight, nearLeft)];
    const ends = await Promise.allSettled([sender.run(), receiver.run()]);
    this.bodyBytes += sender.bodyBytes;
    for (const end of ends) if (end.status === 'rejected') this.errors.push(HeadgateError.from(end.reason).code);
    await Promise.all(pumps);
  }

  async #pump<Frame extends SenderFrame | ReceiverFrame>(
    from: Pipe<never, Frame>,
    to: Pipe<Frame, unknown>,
  ): Promise<void> {
    try {
      for await (const frame of from.frames) {
        await this.#clock.sleep(this.#clock.random() * this.#faults.delayMs);
        await to.writable();
        this.#count(frame);
        to.send(frame);
      }
      to.close();
    } catch (error) {
      to.close(HeadgateError.from(error));
    }
  }

  #open: bigint | undefined;

  #count({ frame }: SenderFrame | ReceiverFrame): void {
    if (frame?.$case === 'hello') this.#open = undefined;
    if (frame?.$case === 'ack') this.#open = undefined;
    if (frame?.$case !== 'delta') return;
    if (this.#open !== undefined && this.#open !== frame.value.id) this.outstandingTooMany++;
    this.#open = frame.value.id;
  }
}
