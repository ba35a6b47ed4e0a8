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
local requests = {}
function init()
  for i = 1, math.min(count, 10000) do
    local host = "h" .. (i - 1) .. ".bench.example"
    requests[i] = wrk.format("GET", "/shop/item?id=" .. i, { ["Host"] = host })
  end
  math.randomseed(1)
end
function request()
  return requests[math.random(#requests)]
end
function done(summary, latency)
  local e = summary.errors
  io.write(string.format("RESULT %d %d %d %d\\n", summary.requests, e.connect + e.read + e.write + e.status + e.timeout,
    latency:percentile(50), latency:percentile(99)))
end
`;

/** wrk of one thread against hosts `h0.bench.example` and on, each as likely. */
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

  async run(port: number, hosts: number, seconds: number, connections: number): Promise<WrkResult> {
    const { stdout } = await run(
      'wrk',
      ['-t1', `-c${connections}`, `-d${seconds}s`, '-s', this.#script, `http://127.0.0.1:${port}/`],
      { env: { ...process.env, BENCH_HOSTS: String(hosts) } },
    );
    const [, requests, failed, p50, p99] = (/RESULT (\d+) (\d+) (\d+) (\d+)/.exec(stdout) ?? []).map(Number);
    if (requests === undefined || failed === undefined || p50 === undefined || p99 === undefined)
      throw new Error(`wrk gave no result: ${stdout}`);
    return { requests, failed, p50, p99 };
  }
}
