import type { ClientDuplexStream, ServerDuplexStream, StatusObject } from '@grpc/grpc-js';
import { HeadgateError } from '../errors.ts';
import { FrameQueue } from '../sync/frame-queue.ts';
import { pipeHighWater, type Pipe } from '../sync/pipe.ts';
import { errorFromPeer, toStatus } from './status.ts';

/** Milliseconds that a closed stream has to end in order before it is cut. */
const lingerMs = 2_000;

/** A message of the caller: a frame, or its last word. */
interface Incoming<In> {
  readonly frame: In | undefined;
  readonly failure?: { readonly code: string; readonly message: string } | undefined;
}

/** What both ends of a gRPC bidirectional call have in common. */
abstract class GrpcPipe<Out, In, Message> implements Pipe<Out, In> {
  protected readonly queue: FrameQueue<In>;
  readonly #call: ClientDuplexStream<Message, Incoming<In>> | ServerDuplexStream<Incoming<In>, Message>;
  readonly #encode: (frame: Out) => Message;
  #waiting: (() => void)[] = [];
  #closed = false;

  constructor(
    call: ClientDuplexStream<Message, Incoming<In>> | ServerDuplexStream<Incoming<In>, Message>,
    encode: (frame: Out) => Message,
  ) {
    this.#call = call;
    this.#encode = encode;
    this.queue = new FrameQueue(() => {
      if (this.queue.length < pipeHighWater || this.#closed) call.resume();
    });
    call.on('data', (message: Incoming<In>) => this.#take(message));
    for (const event of ['close', 'error', 'end']) call.on(event, () => this.#release());
  }

  get frames(): AsyncIterable<In> {
    return this.queue;
  }

  get pending(): number {
    return this.#call.writableLength;
  }

  send(frame: Out): void {
    if (this.#closed || this.queue.ended) return;
    // Called back once the transport's flow control has let it pass.
    this.#call.write(this.#encode(frame), () => this.#release());
  }

  async writable(): Promise<void> {
    while (this.#call.writableLength >= pipeHighWater && !this.#closed && !this.queue.ended) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  close(error?: Error): void {
    if (this.#closed) return;
    this.#closed = true;
    this.queue.stop();
    this.#release();
    this.finish(error);
  }

  protected abstract finish(error: Error | undefined): void;

  #take({ frame, failure }: Incoming<In>): void {
    if (failure !== undefined) this.queue.break(errorFromPeer(failure.code, failure.message));
    else if (frame !== undefined) this.queue.push(frame);
    if (this.queue.length >= pipeHighWater && !this.#closed) this.#call.pause();
  }

  #release(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const resolve of waiting) resolve();
  }
}

export interface CallerCodec<Out, Message> {
  readonly frame: (frame: Out) => Message;
  readonly failure: (failure: { code: string; message: string }) => Message;
}

/** The calling end. */
export class CallerPipe<Out, In, Message> extends GrpcPipe<Out, In, Message> {
  readonly #call: ClientDuplexStream<Message, Incoming<In>>;
  readonly #codec: CallerCodec<Out, Message>;
  #over = false;

  /** @param explain what a failed call means. */
  constructor(
    call: ClientDuplexStream<Message, Incoming<In>>,
    codec: CallerCodec<Out, Message>,
    explain: (failed: StatusObject) => HeadgateError,
  ) {
    super(call, codec.frame);
    this.#call = call;
    this.#codec = codec;
    call.on('error', (failed: Error & StatusObject) => this.queue.break(explain(failed)));
    call.on('end', () => this.queue.end());
    call.on('status', () => (this.#over = true));
  }

  protected override finish(error: Error | undefined): void {
    if (this.#over) return;
    // Without a reader the status would never be delivered.
    this.#call.resume();
    if (error !== undefined) {
      const { code, message } = HeadgateError.from(error);
      this.#call.write(this.#codec.failure({ code, message }));
    }
    this.#call.end();
    const timer = setTimeout(() => this.#call.cancel(), lingerMs);
    this.#call.once('status', () => clearTimeout(timer));
  }
}

/** The serving end. */
export class ServedPipe<Out, In, Message> extends GrpcPipe<Out, In, Message> {
  readonly #call: ServerDuplexStream<Incoming<In>, Message>;
  readonly #cut: () => void;

  /** @param cut ends the connection, where the caller will not let the stream end. */
  constructor(call: ServerDuplexStream<Incoming<In>, Message>, encode: (frame: Out) => Message, cut: () => void) {
    super(call, encode);
    this.#call = call;
    this.#cut = cut;
    const gone = (): void => this.queue.break(new HeadgateError('HG3001', 'the caller is gone'));
    call.on('cancelled', gone);
    call.on('close', gone);
    // A connection that breaks ends its streams as well; the cancellation comes just after.
    call.on('end', () => setImmediate(() => this.queue.end()));
  }

  protected override finish(error: Error | undefined): void {
    if (this.#call.cancelled || this.#call.destroyed) return;
    this.#call.resume();
    // grpc-js takes the status from an 'error' event and sends it after what is queued.
    if (error === undefined) this.#call.end();
    else this.#call.emit('error', toStatus(error));
    const timer = setTimeout(this.#cut, lingerMs);
    // Emitted when the transport's stream is over, in order or not.
    this.#call.once('cancelled', () => clearTimeout(timer));
  }
}
