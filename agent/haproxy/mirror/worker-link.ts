import type { Clock } from '../../../lib/clock.ts';
import { HeadgateError } from '../../../lib/errors.ts';
import type { HaproxyProcess } from '../process/process.ts';
import type { RuntimeClient } from '../runtime/client.ts';

/** Milliseconds that a worker gets to answer when it is first talked to. */
const ANSWERS_WITHIN = 5_000;

export interface WorkerLinkOptions {
  readonly process: Pick<HaproxyProcess, 'worker' | 'alive' | 'refresh' | 'isServed'>;
  readonly client: Pick<RuntimeClient, 'reset' | 'wasClosed'>;
  readonly clock: Clock;
  /** Ends waiting. */
  readonly signal: AbortSignal;
}

/** Which worker is talked to: the one that holds what the files hold. */
export class WorkerLink {
  readonly #options: WorkerLinkOptions;
  #worker: number | undefined;

  constructor(options: WorkerLinkOptions) {
    this.#options = options;
  }

  /** Its pid, where there is one that is known. */
  get worker(): number | undefined {
    return this.#worker;
  }

  /** Whether the worker that is known still has its master. */
  get serves(): boolean {
    return this.#worker !== undefined && this.#options.process.alive();
  }

  /**
   * Whether a worker runs that was not looked at: somebody else reloaded HAProxy, or started it again, in a container
   * perhaps with the same pids.
   */
  get isStranger(): boolean {
    const { process, client } = this.#options;
    return process.worker !== this.#worker || client.wasClosed;
  }

  /** The worker that was known has ended. */
  forget(): void {
    this.#worker = undefined;
  }

  /** Talks to the worker that the master names from now on. @throws HG5004 where it does not answer. */
  async connect(): Promise<void> {
    const { process, client, clock, signal } = this.#options;
    client.reset();
    for (const until = clock.now() + ANSWERS_WITHIN; ;) {
      const table = await process.refresh();
      if (await process.isServed(table)) {
        this.#worker = table.worker;
        client.reset();
        return;
      }
      if (clock.now() >= until) {
        throw new HeadgateError('HG5004', `HAProxy's worker ${String(table.worker)} does not answer`);
      }
      await clock.sleep(20, signal);
    }
  }
}
