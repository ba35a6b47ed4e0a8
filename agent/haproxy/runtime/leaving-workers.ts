import type { RuntimeClient } from './client.ts';
import type { Counters, Reading } from './counters.ts';

/** Columns of `show stat` → what the exporter calls them, as `Reading.key`. */
const columns: Readonly<Record<string, string>> = {
  stot: 'sessions_total',
  bin: 'bytes_in_total',
  bout: 'bytes_out_total',
  dreq: 'requests_denied_total',
  dresp: 'responses_denied_total',
  econ: 'connection_errors_total',
  eresp: 'response_errors_total',
  wretr: 'retry_warnings_total',
  wredis: 'redispatch_warnings_total',
  lbtot: 'loadbalanced_total',
  req_tot: 'http_requests_total',
  cli_abrt: 'client_aborts_total',
  srv_abrt: 'server_aborts_total',
  wrew: 'failed_header_rewriting_total',
  connect: 'connection_attempts_total',
  reuse: 'connection_reuses_total',
  eint: 'internal_errors_total',
  ...Object.fromEntries(
    ['1xx', '2xx', '3xx', '4xx', '5xx', 'other'].map((code) => [`hrsp_${code}`, `http_responses_total{code="${code}"`]),
  ),
};

/** Backends only, of every proxy. */
const COUNTS = 'show stat -1 2 -1';

/**
 * Workers that a reload has replaced, until they end. One that somebody is connected to does not end, so each is read a
 * last time when its own connections have ended, and then let go. What one counts that is ended before, because it is
 * the oldest of many or has had its time, is known as of the last look.
 */
export class LeavingWorkers {
  readonly #counters: Counters;
  readonly #clients = new Map<number, RuntimeClient>();
  #last = 0;
  #isTending = false;

  constructor(counters: Counters) {
    this.#counters = counters;
  }

  /** @param client of the worker that the counters have read last */
  add(client: RuntimeClient): void {
    this.#counters.retire(++this.#last);
    this.#clients.set(this.#last, client);
  }

  /** Lets those go that have no connections any more. */
  async tend(): Promise<void> {
    // One that hangs takes its time.
    if (this.#isTending) return;
    this.#isTending = true;
    await this.#each(async (worker, client) => {
      const info = await client.ask('show info');
      if (!/^CurrConns: 0$/m.test(info)) return;
      await this.#read(worker, client);
      this.#end(worker, client);
    });
    this.#isTending = false;
  }

  /** Reads what they have counted by now. */
  async read(): Promise<void> {
    await this.#each((worker, client) => this.#read(worker, client));
  }

  close(): void {
    for (const client of this.#clients.values()) client.reset();
    this.#clients.clear();
  }

  async #each(job: (worker: number, client: RuntimeClient) => Promise<void>): Promise<void> {
    const all = [...this.#clients].map(async ([worker, client]) => {
      try {
        await job(worker, client);
      } catch {
        this.#end(worker, client);
      }
    });
    await Promise.all(all);
  }

  async #read(worker: number, client: RuntimeClient): Promise<void> {
    this.#counters.readLeaving(worker, readingsIn(await client.ask(COUNTS)));
  }

  #end(worker: number, client: RuntimeClient): void {
    client.reset();
    this.#clients.delete(worker);
    this.#counters.end(worker);
  }
}

/** Counts of slots in the answer to `show stat`. */
function* readingsIn(csv: string): Generator<Reading> {
  const [heading = '', ...lines] = csv.split('\n');
  const keys = heading
    .replace(/^# /, '')
    .split(',')
    .map((column) => (Object.hasOwn(columns, column) ? `haproxy_backend_${columns[column] ?? ''}` : undefined));
  for (const line of lines) {
    const [slot = '', , ...values] = line.split(',');
    if (!/^s\d+$/.test(slot)) continue;
    for (const [i, value] of values.entries()) {
      const key = keys[i + 2];
      if (key !== undefined && value !== '') yield { slot, key, value: Number(value) };
    }
  }
}
