import { mayWrite, type ResourceAuthority } from '../lib/domain/resource-types.ts';
import { HeadgateError } from '../lib/errors.ts';
import type { Refusal, Resource, ResourceDelta, ResourceKey } from '../lib/sync/index.ts';
import {
  Backend,
  Certificate,
  Endpoints,
  Host,
  HostSplit,
  ObjectStatus,
  Peer,
  Settings,
} from '../proto/gen/headgate/v1/configured.ts';
import { BackendHealth, NodeInfo, Verdict } from '../proto/gen/headgate/v1/reported.ts';

/** Bodies that an agent reads; a type that is not here passes untouched. */
const decoders: Readonly<Record<string, (body: Uint8Array) => unknown>> = {
  host: (body) => Host.decode(body),
  split: (body) => HostSplit.decode(body),
  backend: (body) => Backend.decode(body),
  endpoints: (body) => Endpoints.decode(body),
  peer: (body) => Peer.decode(body),
  'own-certificate': (body) => Certificate.decode(body),
  settings: (body) => Settings.decode(body),
  status: (body) => ObjectStatus.decode(body),
  node: (body) => NodeInfo.decode(body),
  verdict: (body) => Verdict.decode(body),
  health: (body) => BackendHealth.decode(body),
};

/**
 * Splits what came into what can be taken and what is refused by name; the rest of a delta stands. Refused is what
 * cannot be decoded, and what is not the sender's to say; removals of such are left out.
 *
 * @param authorities whose word the sender may bring.
 */
export function decodable(
  received: ResourceDelta,
  authorities: readonly ResourceAuthority[],
): { upserts: Resource[]; removals: ResourceKey[]; refusals: Refusal[] } {
  const upserts: Resource[] = [];
  const refusals: Refusal[] = [];
  for (const one of received.upserts) {
    try {
      if (!mayWrite(authorities, one.type))
        throw new HeadgateError('HG2006', `a ${one.type} is not the sender's to say`);
      decoders[one.type]?.(one.body);
      upserts.push(one);
    } catch (thrown) {
      const { type, name, digest } = one;
      refusals.push({ type, name, digest, error: HeadgateError.from(thrown, 'HG3006', 'cannot be decoded') });
    }
  }
  const removals = received.removals.filter(({ type }) => mayWrite(authorities, type));
  return { upserts, removals, refusals };
}
