import { z } from 'zod';
import type { Entry } from '../store/store.ts';
import { parseJson } from './record.ts';
import type { Moment } from '../../lib/identity/serial.ts';

/** A revocation as the store has it; which certificates it covers is in its key and its revision. */
export interface RevocationRecord {
  /** Certificates issued before it are covered. */
  readonly since: Moment;
  /** Of a serial: whose certificate it is. */
  readonly cluster: string | undefined;
  /** Of a node: it gets no new certificate either, however it proves itself. */
  readonly barred: boolean;
}

const schema = z.object({
  epoch: z.string().regex(/^\d{1,19}$/),
  cluster: z.string().optional(),
  barred: z.boolean().optional(),
});

/** The epoch is in the value, the revision is the store's own. A record that does not parse covers everything. */
export function decodeRevocation(entry: Entry): RevocationRecord {
  const { data } = schema.safeParse(parseJson(entry.value));
  const counter = data === undefined ? (1n << 64n) - 1n : BigInt(data.epoch);
  const since = { epoch: { counter }, revision: entry.modRevision };
  return { since, cluster: data?.cluster, barred: data === undefined || data.barred === true };
}
