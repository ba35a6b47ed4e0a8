import { once } from 'node:events';
import {
  connect,
  constants,
  type ClientHttp2Session,
  type ClientHttp2Stream,
  type IncomingHttpHeaders,
} from 'node:http2';
import type { Clock } from '../clock.ts';
import { HeadgateError } from '../errors.ts';
import type { Credentials } from './credentials.ts';

/** Milliseconds for TCP, TLS and the first frame. */
const CONNECT_MS = 10_000;
/** A link that answers no ping is dead, whatever TCP thinks: milliseconds between pings, and for the answer. */
const PING_MS = 5_000;
const PONG_MS = 5_000;
/** Streams on one connection, where the server would take more: a connection that breaks takes fewer with it. */
const MOST_STREAMS = 200;
/** Bytes that the server may send ahead of the reader. */
const WINDOW = 1024 * 1024;

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** The body; destroyed by whoever reads it. */
  readonly stream: ClientHttp2Stream;
}

export interface Question {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string | undefined;
}

interface Session {
  readonly session: ClientHttp2Session;
  streams: number;
}

/**
 * Connections to one API server. Requests and watches share one by HTTP/2, further ones are opened where the server
 * takes no more streams; one that is dead is noticed by pings, and its streams end.
 */
export class Sessions implements AsyncDisposable {
  readonly #credentials: Credentials;
  readonly #clock: Clock;
  readonly #sessions = new Set<Session>();
  readonly #ended = new AbortController();
  #opening: Promise<Session> | undefined;

  constructor(credentials: Credentials, clock: Clock) {
    this.#credentials = credentials;
    this.#clock = clock;
  }

  /**
   * @param signal ends the stream whenever it aborts.
   * @throws HeadgateError HG3001
   */
  async ask({ method, path, headers, body }: Question, signal: AbortSignal): Promise<Answer> {
    const held = await this.#withRoom(signal);
    let stream: ClientHttp2Stream;
    try {
      stream = held.session.request(
        { ':method': method, ':path': path, ...headers },
        { endStream: body === undefined },
      );
    } catch (thrown) {
      held.streams--;
      throw unreachable(this.#credentials.server, thrown);
    }
    const abort = (): void => void stream.destroy();
    signal.addEventListener('abort', abort, { once: true });
    stream.once('close', () => {
      signal.removeEventListener('abort', abort);
      held.streams--;
    });
    // Whoever reads the body hears of it too; without a listener it would end the process.
    stream.on('error', () => undefined);
    if (body !== undefined) stream.end(body);
    try {
      const response = await responseOf(stream);
      return { status: Number(response[constants.HTTP2_HEADER_STATUS]), headers: response, stream };
    } catch (thrown) {
      stream.destroy();
      signal.throwIfAborted();
      throw unreachable(this.#credentials.server, thrown);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ended.abort();
    const closed = [...this.#sessions].map(async ({ session }) => {
      if (session.destroyed) return;
      const close = once(session, 'close');
      session.destroy();
      await close;
    });
    await Promise.all(closed);
  }

  /** A session that takes another stream, which is counted. */
  async #withRoom(signal: AbortSignal): Promise<Session> {
    for (;;) {
      signal.throwIfAborted();
      this.#ended.signal.throwIfAborted();
      for (const held of this.#sessions) {
        const { session } = held;
        const most = Math.min(session.remoteSettings.maxConcurrentStreams ?? MOST_STREAMS, MOST_STREAMS);
        if (session.closed || session.destroyed || held.streams >= most) continue;
        held.streams++;
        return held;
      }
      this.#opening ??= this.#open().finally(() => (this.#opening = undefined));
      await this.#opening;
    }
  }

  async #open(): Promise<Session> {
    const { server } = this.#credentials;
    const tls = await this.#credentials.tls();
    const session = connect(server, { ...tls, ALPNProtocols: ['h2'], settings: { initialWindowSize: WINDOW } });
    const failed = once(session, 'error').then(([error]) => {
      throw error;
    });
    // It lives on without a reader once the session is open.
    failed.catch(() => undefined);
    session.on('error', () => undefined);
    const late = new AbortController();
    try {
      const timeout = this.#clock.sleep(CONNECT_MS, late.signal).then(() => {
        throw new Error(`no answer within ${CONNECT_MS / 1_000} s`);
      });
      // How many streams it takes is known only then.
      await Promise.race([once(session, 'remoteSettings', { signal: late.signal }), failed, timeout]);
    } catch (thrown) {
      session.destroy();
      throw unreachable(server, thrown);
    } finally {
      late.abort();
    }
    session.setLocalWindowSize(4 * WINDOW);
    const held = { session, streams: 0 };
    this.#sessions.add(held);
    session.once('close', () => this.#sessions.delete(held));
    session.once('goaway', () => session.close());
    void this.#probe(session);
    return held;
  }

  async #probe(session: ClientHttp2Session): Promise<void> {
    const closed = new AbortController();
    session.once('close', () => closed.abort());
    const pause = async (ms: number): Promise<boolean> => {
      try {
        await this.#clock.sleep(ms, closed.signal);
        return true;
      } catch {
        return false; // closed
      }
    };
    while ((await pause(PING_MS)) && !session.destroyed) {
      const answered = new AbortController();
      let alive = false;
      session.ping((error) => {
        alive = error === null;
        answered.abort();
      });
      try {
        await this.#clock.sleep(PONG_MS, AbortSignal.any([answered.signal, closed.signal]));
      } catch {
        // answered or closed
      }
      if (!alive && !session.destroyed) session.destroy(new Error('a ping was not answered'));
    }
  }
}

async function responseOf(stream: ClientHttp2Stream): Promise<IncomingHttpHeaders> {
  return await new Promise((resolve, reject) => {
    stream.once('response', resolve);
    stream.once('error', reject);
    stream.once('close', () => reject(new Error('the connection was closed before an answer came')));
  });
}

export function unreachable(server: string, thrown: unknown): HeadgateError {
  if (thrown instanceof HeadgateError) return thrown;
  const why = thrown instanceof Error ? thrown.message : 'unknown error';
  return new HeadgateError('HG3001', `the API server ${server} is not reachable: ${why}`, {
    remedy: 'check that it runs, its address, its CA in the kubeconfig, and what lies between',
    cause: thrown,
  });
}
