import { timingSafeEqual } from 'node:crypto';
import { z } from 'zod';
import type { Clock } from '../../lib/clock.ts';
import { HeadgateError } from '../../lib/errors.ts';
import { csrKeysHash } from '../../lib/identity/authority.ts';
import { isLabel } from '../../lib/identity/identity.ts';
import { drawToken, formatToken, parseToken, secretHash, type TokenRole } from '../../lib/identity/token.ts';
import { printable } from '../../lib/printable.ts';
import { decodeCluster } from '../fleet/stored-values.ts';
import { keys } from '../store/keys.ts';
import type { Condition, Entry, Operation, Store } from '../store/store.ts';
import { parseJson, toJson } from './record.ts';
import type { Revocations } from './revocations.ts';
import type { Moment } from '../../lib/identity/serial.ts';

/** Milliseconds that a join token is good for. */
export const tokenLifetime = 3_600_000;

/** Attempts of a transaction that others get in the way of. */
export const attempts = 10;

const tokenSchema = z.strictObject({
  secretHash: z.string(),
  cluster: z.string(),
  role: z.enum(['cluster', 'node']),
  /** Unix milliseconds. */
  expiresAt: z.number(),
  /** Hash of the keys that it was redeemed for. */
  usedBy: z.string().optional(),
});

export interface Redemption {
  readonly cluster: string;
  readonly role: TokenRole;
  readonly at: Moment;
}

export interface TokensOptions {
  readonly store: Store;
  readonly clock: Clock;
  /** SPKI hash of the control root. */
  readonly rootSpki: string;
}

const remedy = 'make a new one with: headgate cluster add NAME';

/** Join tokens, and the membership that they lead to. */
export class Tokens {
  readonly #options: TokensOptions;

  constructor(options: TokensOptions) {
    this.#options = options;
  }

  /**
   * Makes the cluster a member if it is none, and returns a join token's line: single use, one hour. The store
   * keeps only a hash of its secret.
   *
   * @param also operations of the same transaction.
   * @throws HG1002 for a name that is no RFC 1123 label.
   */
  async add(cluster: string, role: TokenRole, also: readonly Operation[] = []): Promise<string> {
    const { store, clock, rootSpki } = this.#options;
    if (!isLabel(cluster)) {
      throw new HeadgateError('HG1002', `'${printable(cluster.slice(0, 63))}' is no cluster name`, {
        remedy: 'use at most 63 of a-z, 0-9 and -, with a letter or digit at both ends',
      });
    }
    const token = { ...drawToken(), cluster, role, rootSpki, expiresAt: clock.wall() + tokenLifetime };
    const record = { secretHash: secretHash(token.secret), cluster, role, expiresAt: token.expiresAt };
    const operations: Operation[] = [{ kind: 'put', key: keys.token(token.id), value: toJson(record) }, ...also];
    for (const entry of (await store.range(keys.tokenPrefix)).entries) {
      if ((readToken(entry)?.expiresAt ?? 0) < clock.wall()) operations.push({ kind: 'delete', key: entry.key });
    }
    for (let attempt = 0; attempt < attempts; attempt += 1) {
      const member = await store.get(keys.cluster(cluster));
      const commit = await store.transact(
        member === undefined
          ? {
              conditions: [{ key: keys.cluster(cluster), createRevision: 0n }],
              operations: [
                ...operations,
                { kind: 'put', key: keys.cluster(cluster), value: toJson({ name: cluster }) },
              ],
            }
          : { conditions: [{ key: member.key, modRevision: member.modRevision }], operations },
      );
      if (commit.committed) return formatToken(token);
    }
    throw contended();
  }

  /**
   * Uses a token, and binds the cluster's id to its UID at the first enrolment of a cluster agent. The same
   * keys may use it again while it is good: a lost answer is no lock-out.
   *
   * @param line the token as the caller gave it.
   * @param csrs PKCS #10; looked at only once the token has proved the caller.
   * @param clusterUid ignored for a node agent, which cannot know it.
   * @throws HG2004; HG2005 for a bad CSR, or a cluster that is bound to another UID.
   */
  async redeem(line: string, csrs: readonly Uint8Array[], clusterUid: string): Promise<Redemption> {
    const { store, clock } = this.#options;
    const token = parseToken(line);
    for (let attempt = 0; attempt < attempts; attempt += 1) {
      const entry = await store.get(keys.token(token.id));
      const record = entry === undefined ? undefined : readToken(entry);
      // One answer for all of these: a guess learns nothing.
      if (
        entry === undefined ||
        record === undefined ||
        !sameHash(record.secretHash, secretHash(token.secret)) ||
        record.cluster !== token.cluster ||
        record.role !== token.role
      ) {
        throw new HeadgateError('HG2004', 'the join token is not accepted', { remedy });
      }
      if (record.expiresAt < clock.wall()) throw new HeadgateError('HG2004', 'the join token has expired', { remedy });
      const keysHash = await csrKeysHash(csrs);
      if (record.usedBy !== undefined && record.usedBy !== keysHash) {
        throw new HeadgateError('HG2004', 'the join token was used already', { remedy });
      }
      const member = await store.get(keys.cluster(record.cluster));
      if (member === undefined) throw new HeadgateError('HG2004', 'the join token is not accepted', { remedy });
      const conditions: Condition[] = [
        { key: entry.key, modRevision: entry.modRevision },
        { key: member.key, modRevision: member.modRevision },
      ];
      const value = toJson({ ...record, usedBy: keysHash });
      const operations: Operation[] = [{ kind: 'put', key: entry.key, value }];
      if (record.role === 'cluster') {
        const bound = bind(member, record.cluster, clusterUid);
        if (bound !== undefined) operations.push(bound);
      }
      const commit = await store.transact({ conditions, operations });
      if (commit.committed) {
        const at = { epoch: await store.epoch(), revision: commit.revision };
        return { cluster: record.cluster, role: record.role, at };
      }
    }
    throw contended();
  }

  /**
   * Ends a cluster's membership in one transaction: its record and tokens go, and every certificate that it
   * or its nodes hold is revoked. Added again, it enrols anew.
   *
   * @param also operations of the same transaction.
   * @throws HG2007 when there is no such cluster.
   */
  async removeCluster(cluster: string, revocations: Revocations, also: readonly Operation[] = []): Promise<void> {
    const { store } = this.#options;
    if (!isLabel(cluster) || (await store.get(keys.cluster(cluster))) === undefined) {
      throw new HeadgateError('HG2007', `there is no cluster '${printable(cluster.slice(0, 63))}'`, {
        remedy: 'see them with: headgate cluster list',
      });
    }
    const tokens = (await store.range(keys.tokenPrefix)).entries.filter(
      (entry) => readToken(entry)?.cluster === cluster,
    );
    const gone = [keys.cluster(cluster), ...tokens.map((entry) => entry.key)];
    await revocations.revoke(`cluster/${cluster}`, [
      ...gone.map((key): Operation => ({ kind: 'delete', key })),
      ...also,
    ]);
  }
}

/** The write that binds the cluster to its UID; none when it is bound to it already. */
export function bind(member: Entry, cluster: string, uid: string): Operation | undefined {
  if (!/^[A-Za-z0-9._-]{1,128}$/.test(uid)) {
    throw new HeadgateError('HG2005', 'the cluster UID is missing or malformed', {
      remedy: 'start the agent with its own data folder, or with access to its cluster',
    });
  }
  const { uid: known, pin } = decodeCluster(member);
  if (known === uid) return undefined;
  if (known !== undefined) {
    throw new HeadgateError('HG2005', `the name '${cluster}' is bound to another cluster`, {
      remedy: `if that cluster is gone, run: headgate cluster remove ${cluster}, then add it again`,
    });
  }
  return { kind: 'put', key: member.key, value: toJson({ name: cluster, uid, pin }) };
}

function readToken(entry: Entry): z.infer<typeof tokenSchema> | undefined {
  return tokenSchema.safeParse(parseJson(entry.value)).data;
}

function sameHash(one: string, other: string): boolean {
  const [a, b] = [Buffer.from(one), Buffer.from(other)];
  return a.length === b.length && timingSafeEqual(a, b);
}

export function contended(): HeadgateError {
  return new HeadgateError('HG4001', 'the store is too busy for this enrolment', { remedy: 'try again' });
}
