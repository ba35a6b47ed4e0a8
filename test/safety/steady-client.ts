import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { Agent, type IncomingMessage, request } from 'node:http';
import { type ClientHttp2Session, connect as connectHttp2, constants } from 'node:http2';
import { request as requestTls } from 'node:https';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect as connectTls } from 'node:tls';
import { percentile } from '../bench/numbers.ts';

export interface ClientOptions {
  readonly http: number;
  readonly https: number;
  readonly hosts: readonly string[];
  /** Requests a second, over all kinds. */
  readonly rate: number;
}

export interface ClientResult {
  /** By kind of connection. */
  readonly requests: Readonly<Record<Kind, number>>;
  /** What did not end in 200, in words. */
  readonly failures: readonly string[];
  /** HTTP/2 streams that were refused unprocessed and went well when sent again (RFC 9113, 8.7). */
  readonly retried: number;
  /** Milliseconds from when each was due, so that what waits behind a slow one counts as slow, too. */
  readonly p50: number;
  readonly p99: number;
  readonly slowest: number;
}

const kinds = ['kept alive', 'new', 'new with TLS', 'HTTP/2'] as const;
type Kind = (typeof kinds)[number];

const TICK_MS = 5;
/** How often a stream is sent that is refused unprocessed each time, and milliseconds between. */
const ATTEMPTS = 5;
const RETRY_MS = 20;

/** A client in a process of its own, so that its pace does not hang on the thread of the test. */
export class SteadyClient implements AsyncDisposable {
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  /** Resolves when answers come. */
  static async start(options: ClientOptions): Promise<SteadyClient> {
    const child = fork(import.meta.filename, [JSON.stringify(options)], {
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    await once(child, 'message');
    return new SteadyClient(child);
  }

  /** What came to its end since the start or the lap before. */
  async lap(): Promise<ClientResult> {
    return await this.#ask('lap');
  }

  /** Ends it when every answer is there. @returns what came to its end since the last lap. */
  async stop(): Promise<ClientResult> {
    return await this.#ask('stop');
  }

  async #ask(what: 'lap' | 'stop'): Promise<ClientResult> {
    const answer = once(this.#child, 'message') as Promise<[ClientResult]>;
    this.#child.send(what);
    const [result] = await answer;
    return result;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const gone = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await gone;
  }
}

class Tally {
  readonly requests = { 'kept alive': 0, new: 0, 'new with TLS': 0, 'HTTP/2': 0 };
  readonly failures: string[] = [];
  readonly latencies: number[] = [];
  retried = 0;

  result(): ClientResult {
    const { requests, failures, retried } = this;
    const latencies = this.latencies.length === 0 ? [0] : this.latencies;
    const [p50, p99, slowest] = [percentile(latencies, 0.5), percentile(latencies, 0.99), percentile(latencies, 1)];
    return { requests, failures, retried, p50, p99, slowest };
  }
}

class Client {
  readonly #options: ClientOptions;
  // Each in its turn: none is idle for long.
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 64, scheduling: 'fifo' });
  readonly #under = new Set<Promise<void>>();
  readonly #began = performance.now();
  #tally = new Tally();
  #session: { readonly session: ClientHttp2Session; readonly known: Promise<void> } | undefined;
  #turn = 0;

  constructor(options: ClientOptions) {
    this.#options = options;
  }

  /** Sends what is due. */
  tick(): void {
    const { hosts, rate } = this.#options;
    for (;;) {
      const turn = this.#turn;
      const due = this.#began + (1_000 * turn) / rate;
      if (due > performance.now()) return;
      this.#turn++;
      const host = hosts[turn % hosts.length] ?? '';
      // Of ten: six kept alive, two HTTP/2, one new, one new with TLS.
      const kind = turn % 10 < 6 ? kinds[0] : turn % 10 < 8 ? kinds[3] : turn % 10 === 8 ? kinds[1] : kinds[2];
      const sent = this.#send(kind, host, due).finally(() => this.#under.delete(sent));
      this.#under.add(sent);
    }
  }

  lap(): ClientResult {
    const result = this.#tally.result();
    this.#tally = new Tally();
    return result;
  }

  async finish(): Promise<ClientResult> {
    await Promise.all(this.#under);
    this.#agent.destroy();
    this.#session?.session.destroy();
    return this.lap();
  }

  async #send(kind: Kind, host: string, due: number): Promise<void> {
    let fault: string | undefined;
    try {
      const status = kind === 'HTTP/2' ? await this.#http2(host) : await this.#http1(kind, host);
      if (status !== 200) fault = String(status);
    } catch (error) {
      fault = String(error);
    }
    const tally = this.#tally;
    tally.requests[kind]++;
    tally.latencies.push(performance.now() - due);
    if (fault !== undefined) tally.failures.push(`${new Date().toISOString()} ${kind} ${host}: ${fault}`);
  }

  async #http1(kind: Kind, host: string): Promise<number> {
    const { http, https } = this.#options;
    const common = { host: '127.0.0.1', path: '/', headers: { host } };
    const outgoing =
      kind === 'new with TLS'
        ? requestTls({ ...common, port: https, agent: false, servername: host, rejectUnauthorized: false })
        : request({ ...common, port: http, agent: kind === 'kept alive' ? this.#agent : false });
    outgoing.end();
    const [answer] = (await once(outgoing, 'response')) as [IncomingMessage];
    answer.resume();
    await once(answer, 'end');
    return answer.statusCode ?? 0;
  }

  async #http2(host: string, attempt = 1): Promise<number> {
    const session = await this.#open();
    const stream = session.request({ ':path': '/', ':authority': host });
    try {
      const [headers] = (await once(stream, 'response')) as [Record<string, unknown>];
      stream.resume();
      await once(stream, 'end');
      return Number(headers[constants.HTTP2_HEADER_STATUS]);
    } catch (error) {
      // Refused unprocessed, or sent after a GOAWAY that does not count it: to be sent again.
      if (attempt === ATTEMPTS || stream.rstCode !== constants.NGHTTP2_REFUSED_STREAM) throw error;
      this.#tally.retried++;
      await sleep(RETRY_MS);
      return await this.#http2(host, attempt + 1);
    }
  }

  async #open(): Promise<ClientHttp2Session> {
    for (;;) {
      this.#session ??= this.#connect();
      const { session, known } = this.#session;
      // Until the other end has said how many streams it takes, it may refuse some.
      await known;
      if (!session.closed && !session.destroyed) return session;
      if (this.#session?.session === session) this.#session = undefined;
    }
  }

  #connect() {
    const servername = this.#options.hosts[0] ?? '';
    const session = connectHttp2(`https://${servername}`, {
      createConnection: () =>
        connectTls({
          host: '127.0.0.1',
          port: this.#options.https,
          servername,
          ALPNProtocols: ['h2'],
          rejectUnauthorized: false,
        }),
    });
    session.on('goaway', () => {
      if (this.#session?.session === session) this.#session = undefined;
    });
    session.on('error', () => {});
    const known = new Promise<void>((resolve) => {
      session.once('remoteSettings', () => resolve());
      session.once('close', () => resolve());
    });
    return { session, known };
  }
}

if (process.send !== undefined && process.argv[1] === import.meta.filename) {
  const options = JSON.parse(process.argv[2] ?? '') as ClientOptions;
  const client = new Client(options);
  const ticking = setInterval(() => client.tick(), TICK_MS);
  const finish = async (): Promise<void> => {
    clearInterval(ticking);
    process.send?.(await client.finish());
  };
  process.on('message', (what) => {
    if (what === 'lap') process.send?.(client.lap());
    else void finish();
  });
  // The parent is gone: so is the client.
  process.on('disconnect', () => process.exit(0));
  setTimeout(() => process.send?.('under way'), 100);
}
