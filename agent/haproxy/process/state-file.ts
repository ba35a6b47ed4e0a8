import { z } from 'zod';
import type { Assignments } from '../model/desired.ts';
import { profileSchema } from '../model/profile.ts';

const schema = z.object({
  http: z.string(),
  https: z.string(),
  gateway: z.string(),
  /** Digest of what only a reload can change, as the running HAProxy loaded it. */
  loaded: z.string(),
  slots: z.int().nonnegative(),
  profiles: z.array(z.object({ profile: profileSchema, from: z.int().nonnegative(), count: z.int().nonnegative() })),
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

/**
 * Beside HAProxy's sockets, in its folder. It need not survive a power cut, which HAProxy does not survive
 * either.
 */
export const STATE_FILE = 'run/state.json';

/** @returns undefined where there is none, or none that can be read: then everything is decided anew. */
export function parseState(text: string | undefined): HaproxyState | undefined {
  if (text === undefined) return undefined;
  try {
    const { backends, peers, ...rest } = schema.parse(JSON.parse(text));
    return { ...rest, backends: new Map(Object.entries(backends)), peers: new Map(Object.entries(peers)) };
  } catch {
    return undefined;
  }
}

export function formatState({ backends, peers, ...rest }: HaproxyState): string {
  return JSON.stringify({ ...rest, backends: Object.fromEntries(backends), peers: Object.fromEntries(peers) });
}
