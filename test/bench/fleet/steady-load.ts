import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { Load } from '../../../cli/demo/load.ts';

export interface LoadOptions {
  /** host:port by cluster. */
  readonly entries: Readonly<Record<string, string>>;
  readonly hosts: readonly string[];
  /** Requests a second over all entries. */
  readonly rate: number;
}

export interface LoadResult {
  readonly requests: number;
  readonly failed: number;
  /** Of the first failures: what, where. */
  readonly failures: readonly string[];
}

/** A load in a process of its own, so that it shares no thread with what polls. */
export class SteadyLoad implements AsyncDisposable {
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  /** Resolves when requests are under way. */
  static async start(options: LoadOptions): Promise<SteadyLoad> {
    const child = fork(import.meta.filename, [JSON.stringify(options)], {
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    });
    await once(child, 'message');
    return new SteadyLoad(child);
  }

  /** Ends it when every answer is there. */
  async stop(): Promise<LoadResult> {
    const answer = once(this.#child, 'message') as Promise<[LoadResult]>;
    this.#child.send('stop');
    const [result] = await answer;
    return result;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const gone = once(this.#child, 'exit');
    this.#child.kill('SIGTERM');
    await gone;
  }
}

if (process.send !== undefined && process.argv[1] === import.meta.filename) {
  const { entries, hosts, rate } = JSON.parse(process.argv[2] ?? '') as LoadOptions;
  const load = new Load(new Map(Object.entries(entries)), hosts, rate);
  const finish = async (): Promise<void> => {
    await load.stop();
    const failures = load.failures
      .slice(0, 5)
      .map(({ at, entry, host, status, error }) => `${Math.round(at)} ms ${entry} ${host}: ${status ?? ''} ${error}`);
    const result: LoadResult = { requests: load.total, failed: load.failures.length, failures };
    process.send?.(result);
  };
  process.once('message', () => void finish());
  // The parent is gone: so is the load.
  process.on('disconnect', () => process.exit(0));
  process.send('started');
}
