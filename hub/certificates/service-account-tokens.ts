import { hash } from 'node:crypto';
import { createLocalJWKSet, errors, jwtVerify, type JWK } from 'jose';
import { z } from 'zod';
import type { Clock } from '../../lib/clock.ts';
import { HeadgateError } from '../../lib/errors.ts';
import { csrKeysHash } from '../../lib/identity/authority.ts';
import { printable } from '../../lib/printable.ts';
import { decodeCluster } from '../fleet/stored-values.ts';
import { keys } from '../store/keys.ts';
import type { Condition, Operation, Store } from '../store/store.ts';
import { materialOf, type IssuerPin } from './issuer-pin.ts';
import { parseJson, toJson } from './record.ts';
import { attempts, bind, contended, type Redemption } from './tokens.ts';

/** Audience of the tokens that cluster agents show to a hub; no other program takes it. */
export const hubAudience = 'headgate-hub';

/** Seconds that the clocks of hub and API server may differ (promise 18). A used token is remembered that much longer. */
const clockTolerance = 3_600;
/** Bytes; Kubernetes' are about 1,200. */
const maxTokenBytes = 8_192;
/** Asymmetric alone: with a secret algorithm the public key would be the secret. */
const algorithms = ['RS256', 'ES256'];

/** What Kubernetes puts into the token of a ServiceAccount; the rest is not looked at. */
const claims = z.object({
  exp: z.number(),
  'kubernetes.io': z.object({ namespace: z.string(), serviceaccount: z.object({ name: z.string() }) }),
});

const usedSchema = z.object({ keysHash: z.string(), expiresAt: z.number() });

const remedy = 'check the pin with: headgate describe cluster NAME; the token needs the audience headgate-hub';

/** Projected ServiceAccount tokens, checked against what is pinned of their cluster: no API server is asked. */
export class ServiceAccountTokens {
  readonly #store: Store;
  readonly #clock: Clock;

  constructor({ store, clock }: { readonly store: Store; readonly clock: Clock }) {
    this.#store = store;
    this.#clock = clock;
  }

  /**
   * Makes the cluster a member if it is none, and pins who vouches for its agent; again, for keys that were rotated.
   *
   * @param also operations of the same transaction.
   * @throws HG2008 when another cluster has pinned one of the keys: it could speak for this one
   */
  async pin(cluster: string, pin: IssuerPin, also: readonly Operation[]): Promise<bigint> {
    for (let attempt = 0; attempt < attempts; attempt += 1) {
      const { entries } = await this.#store.range(keys.cluster(''));
      const material = new Set(pin.keys.map(materialOf));
      for (const entry of entries) {
        const other = decodeCluster(entry);
        if (other.name === cluster || other.pin?.keys.some((key) => material.has(materialOf(key))) !== true) continue;
        throw new HeadgateError('HG2008', `cluster '${other.name}' has pinned one of these keys already`, {
          remedy: 'give every cluster ServiceAccount keys of its own',
        });
      }
      const member = entries.find((entry) => entry.key === keys.cluster(cluster));
      const uid = member === undefined ? undefined : decodeCluster(member).uid;
      const commit = await this.#store.transact({
        conditions: [
          member === undefined
            ? { key: keys.cluster(cluster), createRevision: 0n }
            : { key: member.key, modRevision: member.modRevision },
        ],
        operations: [{ kind: 'put', key: keys.cluster(cluster), value: toJson({ name: cluster, uid, pin }) }, ...also],
      });
      if (commit.committed) return commit.revision;
    }
    throw contended();
  }

  /**
   * Takes a token for a cluster's agent. While it is valid only the keys that it was first used for may use it again.
   *
   * @param cluster whose pin to check by; the token must hold to it.
   * @param csrs PKCS #10; looked at only once the token has proved the caller.
   * @throws HG2004; HG2005 for a bad CSR, or a cluster that is bound to another UID.
   */
  async redeem(token: string, cluster: string, csrs: readonly Uint8Array[], clusterUid: string): Promise<Redemption> {
    if (token.length > maxTokenBytes) throw refused('it is too long');
    for (let attempt = 0; attempt < attempts; attempt += 1) {
      const member = await this.#store.get(keys.cluster(cluster));
      const pin = member === undefined ? undefined : decodeCluster(member).pin;
      // One answer for an unknown cluster and for one that takes join tokens.
      if (member === undefined || pin === undefined) throw refused('nothing is pinned for its cluster');
      const expiresAt = await this.#verify(token, pin);
      const keysHash = await csrKeysHash(csrs);
      // What is signed names a token; a signature could be written in another way.
      const key = keys.attested(hash('sha256', token.slice(0, token.lastIndexOf('.')), 'hex'));
      const entry = await this.#store.get(key);
      const used = entry === undefined ? undefined : usedSchema.parse(parseJson(entry.value));
      if (used !== undefined && used.keysHash !== keysHash) throw refused('it was used already, for other keys');
      const conditions: Condition[] = [
        entry === undefined ? { key, createRevision: 0n } : { key, modRevision: entry.modRevision },
        { key: member.key, modRevision: member.modRevision },
      ];
      const operations: Operation[] = [{ kind: 'put', key, value: toJson({ keysHash, expiresAt }) }];
      for (const old of (await this.#store.range(keys.attested(''))).entries) {
        const record = usedSchema.safeParse(parseJson(old.value)).data;
        if (old.key !== key && (record?.expiresAt ?? 0) < this.#clock.wall()) {
          operations.push({ kind: 'delete', key: old.key });
        }
      }
      const bound = bind(member, cluster, clusterUid);
      if (bound !== undefined) operations.push(bound);
      const commit = await this.#store.transact({ conditions, operations });
      if (commit.committed) {
        return { cluster, role: 'cluster', at: { epoch: await this.#store.epoch(), revision: commit.revision } };
      }
    }
    throw contended();
  }

  /** @returns Unix milliseconds after which the token is certainly worth nothing. */
  async #verify(token: string, { issuer, serviceAccount, keys: pinned }: IssuerPin): Promise<number> {
    let payload: unknown;
    try {
      ({ payload } = await jwtVerify(token, createLocalJWKSet({ keys: [...pinned] as JWK[] }), {
        issuer,
        audience: hubAudience,
        algorithms,
        clockTolerance,
        currentDate: new Date(this.#clock.wall()),
        requiredClaims: ['exp', 'iat'],
      }));
    } catch (thrown) {
      throw refused(reasonOf(thrown));
    }
    const { data } = claims.safeParse(payload);
    const account = data?.['kubernetes.io'];
    if (data === undefined || `${account?.namespace}/${account?.serviceaccount.name}` !== serviceAccount) {
      throw refused(`it is not one of ServiceAccount ${serviceAccount}`);
    }
    return (data.exp + clockTolerance) * 1_000;
  }
}

/** In our own words: nothing of the token goes into an error. */
function reasonOf(thrown: unknown): string {
  if (thrown instanceof errors.JWTExpired) return 'it has expired';
  if (thrown instanceof errors.JWTClaimValidationFailed) {
    return `its claim ${printable(thrown.claim.slice(0, 32))} is not what is asked for`;
  }
  if (thrown instanceof errors.JOSEAlgNotAllowed) return 'its algorithm is not RS256 or ES256';
  return 'it is malformed, or not signed by a pinned key';
}

function refused(why: string): HeadgateError {
  return new HeadgateError('HG2004', `the ServiceAccount token is not accepted: ${why}`, { remedy });
}
