import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

export interface WrkResult {
  readonly requests: number;
  /** Answers other than 2xx and 3xx, and connections that broke. */
  readonly failed: number;
  /** Microseconds. */
  readonly p50: number;
  readonly p99: number;
}

/** Requests are made before the clock starts, so that wrk's own work is the same for every target. */
const script = `
local count = tonumber(os.getenv("BENCH_HOSTS"))
local skewed = os.getenv("BENCH_SKEWED") == "1"
local requests = {}
function init()
  local distinct = math.min(count, 10000)
  for i = 1, distinct do
    local host = "h" .. math.floor((i - 1) * count / distinct) .. ".bench.example"
    requests[i] = wrk.format("GET", "/shop/item?id=" .. i, { ["Host"] = host })
  end
  math.randomseed(1)
end
function request()
  if skewed then return requests[math.floor((#requests) ^ math.random())] end
  return requests[math.random(#requests)]
end
function done(summary, latency)
  local e = summary.errors
  io.write(string.format("RESULT %d %d %d %d\\n", summary.requests, e.connect + e.read + e.write + e.status + e.timeout,
    latency:percentile(50), latency:percentile(99)))
end
`;

/** wrk of one thread against hosts `h0.bench.example` and on, 10,000 of them at most. */
export class Wrk {
  readonly #script: string;

  private constructor(script: string) {
    this.#script = script;
  }

  /** @param folder where its script is written. */
  static async prepare(folder: string): Promise<Wrk> {
    const path = join(folder, 'wrk.lua');
    await writeFile(path, script);
    return new Wrk(path);
  }

  /** @param skewed whether the n-th host is asked for 1/n as often as the first (Zipf), or each as often as any. */
  async run(port: number, hosts: number, seconds: number, connections: number, skewed = false): Promise<WrkResult> {
    const { stdout } = await run(
      'wrk',
      ['-t1', `-c${connections}`, `-d${seconds}s`, '-s', this.#script, `http://127.0.0.1:${port}/`],
      { env: { ...process.env, BENCH_HOSTS: String(hosts), BENCH_SKEWED: skewed ? '1' : '0' } },
    );
    const [, requests, failed, p50, p99] = (/RESULT (\d+) (\d+) (\d+) (\d+)/.exec(stdout) ?? []).map(Number);
    if (requests === undefined || failed === undefined || p50 === undefined || p99 === undefined)
      throw new Error(`wrk gave no result: ${stdout}`);
    return { requests, failed, p50, p99 };
  }
}
