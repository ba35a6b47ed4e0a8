import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { dirname, join } from 'node:path';
import { answerAs, nextPodAddress } from '../../kube/ground/answering.ts';
import { kubePrograms } from '../../kube/ground/programs.ts';

const SCRIPT = join(import.meta.dirname, '../../../script/in-pod-network');
/** Of scripts that say why this machine has no way. */
const CANNOT = 3;

/** Whether pods' addresses are local here. */
export async function isPodNetwork(): Promise<boolean> {
  try {
    await (await answerAs('probe', nextPodAddress(), 0))[Symbol.asyncDispose]();
    return true;
  } catch {
    return false;
  }
}

/**
 * Runs this very program in a network where pods' addresses are local, with the programs of Kubernetes at hand.
 * @returns its exit code; undefined where this machine has no way to either, which the scripts have then said.
 */
export async function runInPodNetwork(): Promise<number | undefined> {
  let folder: string;
  try {
    // Before: a private network reaches nothing to build them from.
    folder = dirname((await kubePrograms()).etcd);
  } catch (error) {
    if (!isUnavailable(error)) throw error;
    process.stderr.write(error.stderr);
    return undefined;
  }
  const child = spawn(SCRIPT, [process.execPath, ...process.execArgv, ...process.argv.slice(1)], {
    stdio: 'inherit',
    env: { ...process.env, KUBEBUILDER_ASSETS: folder },
  });
  // Whoever interrupts this interrupts that one too.
  process.on('SIGINT', () => undefined);
  const [code] = (await once(child, 'exit')) as [number | null];
  return code === CANNOT ? undefined : (code ?? 1);
}

function isUnavailable(error: unknown): error is { readonly stderr: string } {
  return error instanceof Error && 'code' in error && error.code === CANNOT && 'stderr' in error;
}
