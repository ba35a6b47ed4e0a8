import { HeadgateError } from '../../lib/errors.ts';
import type { Planner } from './plan/planner.ts';
import type { Failure } from './runtime/executor.ts';

/**
 * Opens HAProxy without the certificates that it names as the reason why it cannot load the files. The planner has
 * checked them, but HAProxy may ask for more, for example for longer keys.
 */
export async function openLoadable(planner: Planner, open: () => Promise<void>): Promise<readonly Failure[]> {
  const failures: Failure[] = [];
  for (;;) {
    try {
      await open();
      return failures;
    } catch (error) {
      const { code, message: words } = HeadgateError.from(error);
      const named = new Set(words.match(/certs\/c-[0-9a-f]+\.pem/g));
      const removals = [...named].flatMap((file) => {
        const name = planner.certificateOf(file);
        return name === undefined ? [] : [{ type: 'own-certificate', name }];
      });
      if (code !== 'HG5002' || removals.length === 0) throw error;
      planner.apply({ upserts: [], removals });
      failures.push(...removals.map((resource) => ({ resource, command: 'load', words })));
    }
  }
}
