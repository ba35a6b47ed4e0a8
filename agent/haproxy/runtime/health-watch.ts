import type { Clock } from '../../../lib/clock.ts';
import type { EndpointsOut } from '../data-plane.ts';
import type { Slot } from '../model/desired.ts';
import { RuntimeClient } from './client.ts';
import { endpointsOut } from './endpoints-out.ts';
import { observeDown } from './observe.ts';

export interface HealthWatchOptions {
  /** Of HAProxy's worker. */
  readonly socket: string;
  readonly slots: () => readonly Slot[];
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** Told after every look: all backends that have endpoints out, by name. */
  readonly onLook: (out: ReadonlyMap<string, EndpointsOut>) => void;
}

/** Milliseconds between two looks. */
const LOOK_EVERY = 1_000;
/** A look costs what there are servers; the pause after it is this many times as long as it took. */
const PAUSES = 50;

/**
 * Looks now and then which endpoints HAProxy has taken out. It talks to the worker over connections of its own: no
 * change waits for it, and none outlives a reload. A worker that does not answer says nothing: what it said stands.
 */
export class HealthWatch {
  readonly #options: HealthWatchOptions;

  constructor(options: HealthWatchOptions) {
    this.#options = options;
  }

  /** Until the signal aborts. */
  async run(): Promise<void> {
    const { clock, signal } = this.#options;
    const ended = new Promise<void>((resolve) => {
      signal.addEventListener('abort', () => resolve(), { once: true });
    });
    for (let pause = LOOK_EVERY; !signal.aborted;) {
      try {
        await clock.sleep(pause, signal);
      } catch {
        return; // ended
      }
      const began = clock.now();
      // Whoever ends it does not wait for a worker that hangs.
      await Promise.race([this.#look(), ended]);
      pause = Math.max(LOOK_EVERY, (clock.now() - began) * PAUSES);
    }
  }

  async #look(): Promise<void> {
    const { socket, slots, signal, onLook } = this.#options;
    await using client = new RuntimeClient(socket);
    try {
      const hasEndpoints = slots().some(({ servers }) => servers.size > 0);
      const servers = hasEndpoints ? await observeDown(client) : new Map<string, never>();
      if (!signal.aborted) onLook(endpointsOut(slots(), servers));
    } catch {
      // Whether HAProxy answers is the keeper's to see.
    }
  }
}
