import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { HeadgateError } from '../../lib/errors.ts';
import { createPrivateFile, readPrivateFile } from '../../lib/identity/private-file.ts';

/**
 * The UID of a cluster that is a folder of manifests: drawn at the first start and kept, as Kubernetes keeps
 * the UID of its kube-system namespace.
 *
 * @param folder the agent's data folder.
 */
export async function directoryClusterUid(folder: string): Promise<string> {
  const file = join(folder, 'identity', 'cluster-uid');
  await createPrivateFile(file, `${randomUUID()}\n`);
  const uid = (await readPrivateFile(file))?.trim() ?? '';
  if (!/^[0-9a-f-]{36}$/.test(uid)) {
    throw new HeadgateError('HG2003', `'${file}' holds no UID`, {
      remedy: 'bring the file back, or remove it and the cluster and add it again',
    });
  }
  return uid;
}
