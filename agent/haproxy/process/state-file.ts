import { join } from 'node:path';
import { z } from 'zod';
import { readPrivateFile, writePrivateFile } from '../../../lib/identity/private-file.ts';
import type { Assignments } from '../model/desired.ts';

const schema = z.object({
  http: z.string(),
  https: z.string(),
  gateway: z.string(),
  /** Digest of what only a reload can change, as the running HAProxy loaded it. */
  loaded: z.string(),
  slots: z.int().nonnegative(),
  peerSlots: z.int().nonnegative(),
  backends: z.record(z.string(), z.int().nonnegative()),
  peers: z.record(z.string(), z.int().nonnegative()),
});

/** What an agent must know of the HAProxy in its folder to take it over unchanged. */
export interface HaproxyState extends Assignments {
  /** Real addresses, host:port. */
  readonly http: string;
  readonly https: string;
  readonly gateway: string;
  readonly loaded: string;
}

const FILE = 'state.json';

/** @returns undefined where there is none, or none that can be read: then everything is decided anew. */
export async function readState(folder: string): Promise<HaproxyState | undefined> {
  const text = await readPrivateFile(join(folder, FILE));
  if (text === undefined) return undefined;
  try {
    const { backends, peers, ...rest } = schema.parse(JSON.parse(text));
    return { ...rest, backends: new Map(Object.entries(backends)), peers: new Map(Object.entries(peers)) };
  } catch {
    return undefined;
  }
}

/** Durable when it resolves: no other file can tell who has which slot. */
export async function writeState(folder: string, state: HaproxyState): Promise<void> {
  const { backends, peers, ...rest } = state;
  const text = JSON.stringify({ ...rest, backends: Object.fromEntries(backends), peers: Object.fromEntries(peers) });
  await writePrivateFile(join(folder, FILE), `${text}\n`);
}
