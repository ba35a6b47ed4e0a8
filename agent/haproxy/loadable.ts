import { HeadgateError } from '../../lib/errors.ts';
import type { Culprits } from './culprits.ts';
import { profileId } from './model/profile.ts';
import type { Failure } from './runtime/executor.ts';

export interface Loading {
  /** @throws HG5002 where HAProxy does not load its files. */
  readonly load: () => Promise<void>;
  /** Finds out why, by HAProxy's words. */
  readonly culprits: (words: string) => Promise<Culprits>;
  /** Takes that away. */
  readonly leaveOut: (culprits: Culprits) => void;
}

/**
 * Has HAProxy load its files, without what it cannot load. The planner has checked that, but HAProxy may ask for more,
 * for example for longer keys.
 *
 * @param refused HAProxy's refusal, where it has given one already
 * @returns what was left out
 * @throws HG5002 where nobody is found to blame
 */
export async function loadWithout({ load, culprits, leaveOut }: Loading, refused?: Error): Promise<readonly Failure[]> {
  const found: Failure[] = [];
  const seen = new Set<string>();
  for (;;) {
    try {
      if (refused !== undefined && seen.size === 0) throw refused;
      await load();
      return found;
    } catch (error) {
      const { code, message } = HeadgateError.from(error);
      if (code !== 'HG5002') throw error;
      const culpable = await culprits(message);
      const { failures, profiles } = culpable;
      // What does not go away must not be tried for ever.
      const before = seen.size;
      for (const { resource } of failures) seen.add(JSON.stringify(resource));
      for (const profile of profiles) seen.add(profileId(profile));
      if (seen.size === before) throw error;
      leaveOut(culpable);
      found.push(...failures);
    }
  }
}
