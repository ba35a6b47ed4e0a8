import type { Op } from '../model/change.ts';

/** One line for the runtime API, with its payload if it has one. */
export interface Command {
  /** Without the final newline; a payload command ends with its payload's last line (send a blank line after it). */
  readonly text: string;
  readonly payload: boolean;
  /** What a reply to a success looks like, trimmed. */
  readonly accepts: RegExp;
}
