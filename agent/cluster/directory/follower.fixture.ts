import { mkdtemp, mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach } from 'vitest';
import { systemClock } from '../../../lib/clock.ts';
import { silentLog } from '../../../lib/log.ts';
import { Follower } from '../follower.fixture.ts';
import { directorySource } from './directory-source.ts';
import type { FolderMemory } from './folder-memory.ts';

/** Of the running test; `folder` lies in `parent`. */
export let parent: string;
export let folder: string;
let follower: Follower | undefined;

/** Gives every test of the calling file a folder of its own, and ends its follower. */
export function useFolder(): void {
  beforeEach(async () => {
    parent = await mkdtemp(join(tmpdir(), 'headgate-directory-'));
    folder = join(parent, 'manifests');
    await mkdir(folder);
  });

  afterEach(async () => {
    await follower?.stop();
    follower = undefined;
    await rm(parent, { recursive: true, force: true });
  });
}

export interface FollowOptions {
  readonly rescanMs?: number;
  readonly memory?: FolderMemory;
}

/** Follows the folder without waiting for its first change. */
export function begin({ rescanMs = 60_000, memory }: FollowOptions = {}): Follower {
  follower = new Follower(
    directorySource({
      folder,
      clock: systemClock,
      log: silentLog,
      settleMs: 200,
      rescanMs,
      ...(memory === undefined ? {} : { memory }),
    }),
  );
  return follower;
}

/** Follows the folder; its first change has been read. */
export async function follow({ rescanMs = 60_000, memory }: FollowOptions = {}): Promise<Follower> {
  const reader = begin({ rescanMs, ...(memory === undefined ? {} : { memory }) });
  await reader.next();
  return reader;
}

export function ingress(name: string, host = `${name}.example`): string {
  return `apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: { name: ${name}, namespace: shop }
spec:
  rules:
  - host: ${host}
    http: { paths: [{ path: /, pathType: Prefix, backend: { service: { name: web, port: { number: 80 } } } }] }
`;
}

export const service = `apiVersion: v1
kind: Service
metadata: { name: web, namespace: shop }
spec: { ports: [{ port: 80 }] }
`;

export function slice(...addresses: string[]): string {
  return `apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: { name: web-1, namespace: shop, labels: { kubernetes.io/service-name: web } }
addressType: IPv4
ports: [{ port: 8080 }]
endpoints: ${JSON.stringify(addresses.map((address) => ({ addresses: [address] })))}
`;
}

export const at = (name: string): string => join(folder, name);

/** As careful editors and tools do. */
export async function replace(name: string, text: string): Promise<void> {
  await writeFile(at(`.${name.replaceAll('/', '-')}.tmp`), text);
  await rename(at(`.${name.replaceAll('/', '-')}.tmp`), at(name));
}
