/**
 * One direction-agnostic message stream: a gRPC bidirectional call, or a pair in memory where both roles run
 * in one process. Frames are delivered in order or the pipe ends.
 */
export interface Pipe<Out, In> {
  /** Queues a frame. Never throws; after the end it does nothing. */
  send(frame: Out): void;
  /** Frames queued and not yet handed to the transport: what back-pressure is judged by. */
  readonly pending: number;
  /** Resolves once fewer than `pipeHighWater` frames wait, or the pipe has ended. */
  writable(): Promise<void>;
  /**
   * Frames from the other end, for one reader; returns when the other end closes or this end was closed,
   * throws a HeadgateError when the pipe breaks.
   */
  readonly frames: AsyncIterable<In>;
  /** Ends the pipe; with an error the other end sees it as broken, and that error's code and message. */
  close(error?: Error): void;
}

/**
 * Frames that may wait in a pipe before its writer holds back, and in a reader before its transport does: with
 * chunks of 256 KiB, what a slow subscriber costs in memory.
 */
export const pipeHighWater = 2;

/** The same pipe; `heard` is called for every frame that comes, before its reader has it. */
export function tapped<Out, In>(pipe: Pipe<Out, In>, heard: () => void): Pipe<Out, In> {
  return {
    send: (frame) => pipe.send(frame),
    get pending() {
      return pipe.pending;
    },
    writable: () => pipe.writable(),
    frames: eachHeard(pipe.frames, heard),
    close: (error) => pipe.close(error),
  };
}

async function* eachHeard<In>(frames: AsyncIterable<In>, heard: () => void): AsyncIterable<In> {
  for await (const frame of frames) {
    heard();
    yield frame;
  }
}
