import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';

const SCRIPT = join(import.meta.dirname, '../../../script/kube-programs');

/** Paths of the programs that script/kube-programs has. */
export interface KubePrograms {
  readonly apiServer: string;
  readonly controllerManager: string;
  readonly kubectl: string;
  readonly helm: string;
  /** 3.6. */
  readonly etcd: string;
  /** 3.4, which cannot stream an initial list; there on Debian 12 and Ubuntu 24.04 only. */
  readonly oldEtcd: string | undefined;
}

let found: Promise<KubePrograms> | undefined;

/** Where they are; builds them when they are not, which takes minutes and asks for a network that is not a private one. */
export function kubePrograms(): Promise<KubePrograms> {
  found ??= find();
  return found;
}

async function find(): Promise<KubePrograms> {
  const { stdout } = await promisify(execFile)(SCRIPT);
  const folder = stdout.trim();
  const oldEtcd = join(folder, 'etcd-3.4');
  return {
    apiServer: join(folder, 'kube-apiserver'),
    controllerManager: join(folder, 'kube-controller-manager'),
    kubectl: join(folder, 'kubectl'),
    helm: join(folder, 'helm'),
    etcd: join(folder, 'etcd'),
    oldEtcd: existsSync(oldEtcd) ? oldEtcd : undefined,
  };
}
