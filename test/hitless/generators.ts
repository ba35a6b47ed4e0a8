import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface Target {
  readonly http: number;
  readonly https: number;
  readonly hosts: readonly string[];
}

/** Requests a second of each. */
export interface Rates {
  /** wrk over connections that are kept alive. */
  readonly kept: number;
  /** wrk with a connection for every request. */
  readonly fresh: number;
  /** h2load over TLS. */
  readonly http2: number;
}

/** What a load generator says of itself. */
export interface Tally {
  readonly requests: number;
  /** Answers other than 2xx, and what broke. */
  readonly failed: number;
  /**
   * h2load's streams that ended without an answer. It sends none again, so those are among them that HTTP/2 declares
   * safe to send again, which every reload may make.
   */
  readonly unanswered: number;
}

const KEPT_CONNECTIONS = 16;
const FRESH_CONNECTIONS = 8;
const HTTP2_CONNECTIONS = 4;
/** h2load tells nothing when it is ended early: it runs for so many seconds, again and again. */
const ROUND = 1;

/** Each connection waits so long before its next request that all together make the rate. */
const script = `
local wait = tonumber(os.getenv("HITLESS_WAIT"))
local close = os.getenv("HITLESS_CLOSE")
local hosts, requests, turn = {}, {}, 0
function init()
  for host in string.gmatch(os.getenv("HITLESS_HOSTS"), "%S+") do
    requests[#requests + 1] = wrk.format("GET", "/", { ["Host"] = host, ["Connection"] = close })
  end
end
function delay() return wait end
function request()
  turn = turn + 1
  return requests[turn % #requests + 1]
end
function done(summary)
  local e = summary.errors
  io.write(string.format("RESULT %d %d\\n", summary.requests, e.connect + e.read + e.write + e.status + e.timeout))
end
`;

/** wrk and h2load at steady rates, until stopped. */
export class Generators implements AsyncDisposable {
  readonly #folder: string;
  readonly #wrk: readonly Promise<Tally>[];
  readonly #http2: Promise<Tally>;
  readonly #children = new Set<ChildProcess>();
  #stopped = false;

  private constructor(target: Target, rates: Rates) {
    this.#folder = mkdtempSync(join(tmpdir(), 'hg-gen-'));
    writeFileSync(join(this.#folder, 'wrk.lua'), script);
    this.#wrk = [
      this.#runWrk(target, rates.kept, KEPT_CONNECTIONS, 'keep-alive'),
      this.#runWrk(target, rates.fresh, FRESH_CONNECTIONS, 'close'),
    ];
    this.#http2 = this.#runHttp2(target, rates.http2);
  }

  static start(target: Target, rates: Rates): Generators {
    return new Generators(target, rates);
  }

  async stop(): Promise<Tally> {
    this.#stopped = true;
    // wrk tells its result when it is interrupted.
    for (const child of this.#children) if (child.spawnfile === 'wrk') child.kill('SIGINT');
    const tallies = await Promise.all([...this.#wrk, this.#http2]);
    return tallies.reduce(sum);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped = true;
    for (const child of this.#children) child.kill('SIGKILL');
    await Promise.allSettled([...this.#wrk, this.#http2]);
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async #runWrk({ http, hosts }: Target, rate: number, connections: number, close: string): Promise<Tally> {
    const wait = String(Math.round((1_000 * connections) / rate));
    const output = await this.#run(
      'wrk',
      ['-t1', `-c${connections}`, '-d3600s', '-s', join(this.#folder, 'wrk.lua'), `http://127.0.0.1:${http}/`],
      { HITLESS_WAIT: wait, HITLESS_HOSTS: hosts.join(' '), HITLESS_CLOSE: close },
    );
    const [, requests, failed] = /RESULT (\d+) (\d+)/.exec(output) ?? [];
    if (requests === undefined) throw new Error(`wrk gave no result: ${output}`);
    return { requests: Number(requests), failed: Number(failed), unanswered: 0 };
  }

  async #runHttp2({ https, hosts }: Target, rate: number): Promise<Tally> {
    const urls = hosts.map((host) => `https://${host}/`);
    let total: Tally = { requests: 0, failed: 0, unanswered: 0 };
    while (!this.#stopped) {
      const output = await this.#run('h2load', [
        '-t1',
        `-c${HTTP2_CONNECTIONS}`,
        '-m8',
        `--rps=${Math.max(1, Math.round(rate / HTTP2_CONNECTIONS))}`,
        `-D${ROUND}`,
        `--connect-to=127.0.0.1:${https}`,
        ...urls,
      ]);
      const [, done, answered, failed, errored] =
        /requests: \d+ total, \d+ started, (\d+) done, (\d+) succeeded, (\d+) failed, (\d+) errored/.exec(output) ?? [];
      if (done === undefined) throw new Error(`h2load gave no result: ${output}`);
      // What it counts as failed holds what it counts as errored.
      const refused = Number(failed) - Number(errored);
      const requests = Number(answered) + Number(failed);
      total = sum(total, { requests, failed: refused, unanswered: Number(errored) });
    }
    return total;
  }

  async #run(program: string, args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<string> {
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...env } });
    this.#children.add(child);
    let output = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (output += String(chunk)));
    await once(child, 'close');
    this.#children.delete(child);
    return output;
  }
}

function sum(a: Tally, b: Tally): Tally {
  return { requests: a.requests + b.requests, failed: a.failed + b.failed, unanswered: a.unanswered + b.unanswered };
}
