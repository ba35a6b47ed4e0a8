import type { Clock } from '../../../../lib/clock.ts';
import type { Wanted } from './wanted-status.ts';

/** Milliseconds that the first repetition of a status waits which somebody else wrote over, and the longest wait. */
const BASE_MS = 10_000;
const CAP_MS = 600_000;

interface Contest {
  /** What was last written, as JSON. */
  written: string;
  /** It stands, as far as is known: the API server answered so. */
  stands: boolean;
  lost: number;
  /** When it may be written again. */
  until: number;
}

/**
 * Two controllers that both take an object for theirs would write over each other for ever. A status that stood and that
 * somebody else replaced is written again only after a while, and after a longer one each time.
 */
export class Contests {
  readonly #clock: Clock;
  readonly #contests = new Map<string, Contest>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  written(key: string, wanted: Wanted): void {
    const written = JSON.stringify(wanted);
    const known = this.#contests.get(key);
    if (known?.written === written) known.stands = true;
    else this.#contests.set(key, { written, stands: true, lost: 0, until: 0 });
  }

  forget(key: string): void {
    this.#contests.delete(key);
  }

  /** Milliseconds before this may be written. @param lost told when somebody else wrote over it */
  waitMs(key: string, wanted: Wanted, lost: () => void): number {
    const contest = this.#contests.get(key);
    if (contest === undefined || contest.written !== JSON.stringify(wanted)) return 0;
    const now = this.#clock.now();
    if (contest.stands) {
      contest.stands = false;
      // After a long peace it starts over.
      if (now - contest.until > CAP_MS) contest.lost = 0;
      contest.until = now + Math.min(CAP_MS, BASE_MS * 2 ** contest.lost++);
      lost();
    }
    return Math.max(0, contest.until - now);
  }
}
