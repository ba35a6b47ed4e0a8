import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { text } from 'node:stream/consumers';
import { stringify } from 'yaml';
import type { Written } from '../fleet/until-live.ts';
import type { KubeObject } from '../ground/kube-api.ts';
import type { KubeCluster } from '../ground/kube-cluster.ts';

/** kubectl's log says of each answer of the API server when it came, from this verbosity on. */
const VERBOSITY = 6;
const CREATED = /"Response" verb="POST" .* status="201 Created"/;

/**
 * Creates an object with kubectl. Its clock starts when the API server's reply is in kubectl's log: kubectl itself ends
 * some milliseconds later.
 */
export async function kubectlCreate(cluster: KubeCluster, object: KubeObject): Promise<Written> {
  const flags = [`--kubeconfig=${cluster.kubeconfig}`, `-v=${VERBOSITY}`];
  const child = spawn(cluster.kubectlProgram, [...flags, 'create', '-f', '-', '-o', 'json'], {
    // Discovery is kept below HOME.
    env: { ...process.env, HOME: cluster.credentials.folder },
    stdio: 'pipe',
  });
  const exited = once(child, 'exit') as Promise<[number | null]>;
  const output = text(child.stdout);
  let at: number | undefined;
  const words: string[] = [];
  createInterface({ input: child.stderr }).on('line', (line) => {
    if (CREATED.test(line)) at = performance.now();
    words.push(line);
  });
  child.stdin.end(stringify(object));
  const [[code], answer] = await Promise.all([exited, output]);
  if (code !== 0 || at === undefined)
    throw new Error(`kubectl create: ${words.at(-1) ?? `ended with ${String(code)}`}`);
  return { object: JSON.parse(answer) as KubeObject, at };
}
