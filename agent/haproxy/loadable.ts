import { HeadgateError } from '../../lib/errors.ts';
import type { Resource } from '../../lib/sync/index.ts';
import { Certificate } from '../../proto/gen/headgate/v1/configured.ts';
import type { Mirror } from './mirror.ts';
import { certificateFile } from './model/names.ts';
import type { Planner } from './plan/planner.ts';
import type { HaproxyState } from './process/state-file.ts';
import type { Failure } from './runtime/executor.ts';

/**
 * Opens HAProxy without the certificates that it names as the reason why it cannot load the files. The planner has
 * checked them, but HAProxy may ask for more, for example for longer keys.
 */
export async function openLoadable(
  mirror: Mirror,
  planner: Planner,
  before: HaproxyState | undefined,
  resources: readonly Resource[],
): Promise<readonly Failure[]> {
  const failures: Failure[] = [];
  for (;;) {
    try {
      await mirror.open(before);
      return failures;
    } catch (error) {
      const { code, message: words } = HeadgateError.from(error);
      const named = new Set(words.match(/certs\/c-[0-9a-f]+\.pem/g));
      const removals = resources
        .filter(({ type }) => type === 'own-certificate')
        .filter((one) => named.size > 0 && named.has(fileOf(one)) && planner.desired.certificates.has(fileOf(one)))
        .map(({ type, name }) => ({ type, name }));
      if (code !== 'HG5002' || removals.length === 0) throw error;
      planner.apply({ upserts: [], removals });
      failures.push(...removals.map((resource) => ({ resource, command: 'load', words })));
    }
  }
}

function fileOf(certificate: Resource): string {
  const { hosts } = Certificate.decode(certificate.body);
  return certificateFile(certificate.name, [...new Set(hosts)].sort());
}
