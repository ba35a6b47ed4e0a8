import { mkdtemp, mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach } from 'vitest';
import { systemClock } from '../../../lib/clock.ts';
import { silentLog } from '../../../lib/log.ts';
import { Inventory } from '../../../lib/sync/index.ts';
import { Ingress, Problem } from '../../../proto/gen/headgate/v1/reported.ts';
import type { SourceChange } from '../source.ts';
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

/** Reads a source as the agent does, and keeps what all its changes came to. */
export class Follower {
  readonly inventory = new Inventory();
  readonly changes: SourceChange[] = [];
  readonly #stop = new AbortController();
  readonly #iterator: AsyncIterator<SourceChange>;
  #pending: Promise<IteratorResult<SourceChange>> | undefined;

  constructor(rescanMs: number, memory?: FolderMemory) {
    const source = directorySource({
      folder,
      clock: systemClock,
      log: silentLog,
      settleMs: 200,
      rescanMs,
      ...(memory === undefined ? {} : { memory }),
    });
    this.#iterator = source.changes(this.#stop.signal)[Symbol.asyncIterator]();
  }

  async next(): Promise<SourceChange> {
    this.#pending ??= this.#iterator.next();
    const result = await this.#pending;
    this.#pending = undefined;
    if (result.done === true) throw new Error('the source ended');
    this.changes.push(result.value);
    this.inventory.apply(result.value.report);
    this.inventory.apply(result.value.own);
    return result.value;
  }

  /** Reads changes until something holds. */
  async until(holds: () => boolean): Promise<void> {
    while (!holds()) await this.next();
  }

  /** Whether no change comes for as long. */
  async isSilent(ms: number): Promise<boolean> {
    this.#pending ??= this.#iterator.next();
    return (await Promise.race([this.#pending, systemClock.sleep(ms)])) === undefined;
  }

  names(type: string): string[] {
    return [...this.inventory.ofType(type)].map(({ name }) => name).sort();
  }

  hosts(name: string): string[] {
    const body = this.inventory.get('ingress', name)?.body;
    return body === undefined ? [] : Ingress.decode(body).rules.map(({ host }) => host);
  }

  /** Names of every resource whose removal was ever told. */
  removed(type: string): string[] {
    return this.changes
      .flatMap(({ report }) => report.removals)
      .flatMap((key) => (key.type === type ? [key.name] : []));
  }

  problems(): string[] {
    return [...this.inventory.ofType('problem')]
      .map(({ body }) => Problem.decode(body))
      .map(({ code, place, field, message }) => `${code} ${place} ${field}: ${message}`)
      .sort();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#pending;
    await this.#iterator.return?.();
  }
}

export interface FollowOptions {
  readonly rescanMs?: number;
  readonly memory?: FolderMemory;
}

/** Follows the folder without waiting for its first change. */
export function begin({ rescanMs = 60_000, memory }: FollowOptions = {}): Follower {
  follower = new Follower(rescanMs, memory);
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
