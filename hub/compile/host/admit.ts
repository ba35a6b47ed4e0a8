import { MOST_REGEXES, readPathRegex, withinHost } from '../../../lib/domain/path-regex/path-regex.ts';
import { PathType } from '../../../proto/gen/headgate/v1/configured.ts';
import type { Offer } from './offers.ts';
import { mayOffer, type Ownership } from './ownership.ts';
import { ingressStatus } from '../status.ts';
import type { ObjectStatus } from '../types.ts';

/** Offers of one route that stand: one per cluster. */
export interface AdmittedRoute {
  readonly offers: readonly Offer[];
}

export interface Admission {
  /** By path type and path. */
  readonly routes: ReadonlyMap<string, AdmittedRoute>;
  readonly statuses: readonly ObjectStatus[];
}

/**
 * Which offers for a host stand: those of its owner, from clusters that its claim lets, and of one cluster's
 * offers for one path the first committed.
 * @param offers first committed first.
 */
export function admitOwned(host: string, offers: readonly Offer[], owner: Ownership): Admission {
  const statuses: ObjectStatus[] = [];
  const standing = offers.filter((offer) => {
    const status = foreign(host, offer, owner);
    if (status !== undefined) statuses.push(status);
    return status === undefined;
  });
  const admission = admit(host, standing);
  return { routes: admission.routes, statuses: [...statuses, ...admission.statuses] };
}

/** The same without ownership: for rules without a host, which only their own cluster feels. */
export function admit(host: string, offers: readonly Offer[]): Admission {
  const routes = new Map<string, { offers: Offer[] }>();
  const statuses: ObjectStatus[] = [];
  for (const offer of offers) {
    if (offer.invalid !== undefined) {
      statuses.push(
        ingressStatus(offer, {
          accepted: false,
          reason: 'Invalid',
          code: 'HG1002',
          message: offer.invalid,
          remedy: 'write an absolute path of visible ASCII characters; escape others as %XX',
        }),
      );
      continue;
    }
    const key = `${offer.pathType}\0${offer.path}`;
    const route = routes.get(key) ?? { offers: [] };
    const first = route.offers.find(({ cluster }) => cluster === offer.cluster);
    if (first === undefined) route.offers.push(offer);
    else statuses.push(second(host, offer, first));
    routes.set(key, route);
  }
  for (const key of overBudget(routes)) {
    statuses.push(...(routes.get(key)?.offers ?? []).map((offer) => tooMany(host, offer)));
    routes.delete(key);
  }
  return { routes, statuses };
}

/** Routes by regular expression beyond what a host may have, the first committed kept. */
function overBudget(routes: ReadonlyMap<string, AdmittedRoute>): string[] {
  const regexes = [...routes].flatMap(([key, { offers }]) =>
    offers[0]?.pathType === PathType.REGEX ? [{ key, ...readPathRegex(offers[0].path) }] : [],
  );
  return regexes.slice(withinHost(regexes).length).map(({ key }) => key);
}

function tooMany(host: string, offer: Offer): ObjectStatus {
  return ingressStatus(offer, {
    accepted: false,
    reason: 'Invalid',
    code: 'HG1002',
    message: `${host} has more regular expressions than a host may: ${MOST_REGEXES}, or fewer long ones`,
    remedy: 'join some of them with "|", or write Prefix paths where they do',
  });
}

function foreign(host: string, offer: Offer, { namespace, claim }: Ownership): ObjectStatus | undefined {
  const base = { accepted: false, reason: 'Conflicted', code: 'HG1006' } as const;
  if (namespace === undefined) {
    return ingressStatus(offer, {
      ...base,
      message: `host ${host} is reserved by HostClaim ${claim?.name ?? ''} for namespace ${(claim?.value.namespaces ?? []).join(', ')}`,
      remedy: 'use another host, or have the HostClaim name this namespace',
    });
  }
  if (offer.namespace !== namespace) {
    return ingressStatus(offer, {
      ...base,
      message: `host ${host} belongs to namespace ${namespace}${claim === undefined ? '' : ` by HostClaim ${claim.name}`}`,
      remedy:
        claim === undefined
          ? `use another host, or have namespace ${namespace} give it up or the fleet's operator write a HostClaim`
          : `use another host, or have HostClaim ${claim.name} name this namespace`,
    });
  }
  if (!mayOffer(claim, offer.cluster)) {
    return ingressStatus(offer, {
      ...base,
      message: `HostClaim ${claim?.name ?? ''} lets only ${(claim?.value.clusters ?? []).join(', ')} offer host ${host}`,
      remedy: `have the HostClaim name cluster ${offer.cluster}, or remove the rule there`,
    });
  }
  return undefined;
}

function second(host: string, offer: Offer, first: Offer): ObjectStatus {
  const what = offer.isDefault ? 'the default backend' : `${host}${offer.path}`;
  return ingressStatus(offer, {
    accepted: false,
    reason: 'Conflicted',
    code: 'HG1005',
    message: `${what} is held by Ingress ${first.namespace}/${first.ingress}, which came first`,
    remedy: `remove ${what} from one of the two Ingresses`,
  });
}
