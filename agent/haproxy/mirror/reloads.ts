import type { Clock } from '../../../lib/clock.ts';
import { HeadgateError } from '../../../lib/errors.ts';
import type { Change } from '../model/change.ts';
import { profileWords } from '../model/profile.ts';

export const reloadReasons = [
  'backend-settings',
  'configuration',
  'gateway-ca',
  'many-servers',
  'pool-refill',
  'repair',
] as const satisfies readonly (Change['reload'] | 'configuration' | 'gateway-ca' | 'repair')[];
export type ReloadReason = (typeof reloadReasons)[number];

/** Milliseconds between two reloads for new settings. */
const SETTINGS_APART = 5_000;

/** Resources that a log line names. */
const NAMED = 20;

/** What a change's reload is for, in the words of a log line. */
export function causeWords({ profiles, resources }: Change['causes']): object {
  const settings = [...new Set(profiles.map(({ profile }) => profileWords(profile)))];
  const named = resources.slice(0, NAMED).map(({ type, name }) => `${type}/${name}`);
  return {
    ...(settings.length === 0 ? {} : { settings: settings.join('; ') }),
    ...(resources.length === 0 ? {} : { for: resources.length, resources: named }),
  };
}

/** Counts reloads, and says when there may be one. */
export class Reloads {
  readonly #clock: Clock;
  readonly #counts = new Map<string, number>();
  #failed: { readonly reason: ReloadReason; readonly words: string } | undefined;
  #settingsAt = -Infinity;
  #held = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Those that succeeded, by reason. */
  get counts(): ReadonlyMap<string, number> {
    return this.#counts;
  }

  /** What HAProxy lacks: a reload for it failed, and none has succeeded since. */
  get failed(): ReloadReason | undefined {
    return this.#failed?.reason;
  }

  /** Why that failed. */
  get owed(): string | undefined {
    return this.#failed?.words;
  }

  /** Whether new settings may have a reload: they share one where they come close together. */
  get mayBegin(): boolean {
    return !this.#held && this.#clock.now() - this.#settingsAt >= SETTINGS_APART;
  }

  get isHeld(): boolean {
    return this.#held;
  }

  /** There is none any more: HAProxy is about to end. */
  hold(): void {
    this.#held = true;
  }

  /** @throws HG5004 while there is none. */
  assertFree(): void {
    if (this.#held) throw new HeadgateError('HG5004', 'HAProxy is about to end and is not reloaded');
  }

  /** New settings get their reload now. */
  noteSettings(): void {
    this.#settingsAt = this.#clock.now();
  }

  /** Counts a reload that succeeds, and owes one that fails. @throws what it throws */
  async count(reason: ReloadReason, reload: () => Promise<void>): Promise<void> {
    try {
      await reload();
    } catch (error) {
      this.#failed = { reason, words: HeadgateError.from(error).message };
      throw error;
    }
    this.#failed = undefined;
    this.#counts.set(reason, (this.#counts.get(reason) ?? 0) + 1);
  }
}
