import { HeadgateError } from '../../lib/errors.ts';
import type { Planner } from './plan/planner.ts';
import type { Failure } from './runtime/executor.ts';

/**
 * Opens HAProxy without what it cannot load: the certificates that it names, or else the resources that it refuses
 * alone. The planner has checked them, but HAProxy may ask for more, for example for longer keys.
 *
 * @param culprits finds those among what the planner holds
 */
export async function openLoadable(
  planner: Planner,
  open: () => Promise<void>,
  culprits: () => Promise<readonly Failure[]>,
): Promise<readonly Failure[]> {
  const failures: Failure[] = [];
  for (;;) {
    try {
      await open();
      return failures;
    } catch (error) {
      const { code, message: words } = HeadgateError.from(error);
      if (code !== 'HG5002') throw error;
      const named = new Set(words.match(/certs\/c-[0-9a-f]+\.pem/g));
      const removals = [...named].flatMap((file) => {
        const name = planner.certificateOf(file);
        return name === undefined ? [] : [{ type: 'own-certificate', name }];
      });
      const refused =
        removals.length > 0 ? removals.map((resource) => ({ resource, command: 'load', words })) : await culprits();
      if (refused.length === 0) throw error;
      planner.apply({ upserts: [], removals: refused.flatMap(({ resource }) => resource ?? []) });
      failures.push(...refused);
    }
  }
}
