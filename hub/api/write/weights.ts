import { hash } from 'node:crypto';
import { HeadgateError } from '../../../lib/errors.ts';
import { type ObjectRef, objectTitle } from '../../../lib/manifest/manifest.ts';
import { policyKinds } from '../../../lib/policy/schemas.ts';
import { MAX_SHARES } from '../../../lib/split/types.ts';
import { pathsOf } from '../../compile/policy/attachment.ts';
import type { HubView } from '../../view.ts';
import type { Caller } from '../caller.ts';
import { compiledHosts } from '../read/route-items.ts';
import type { WeightsRequest, WeightsResponse } from '../types.ts';
import type { PolicyWriter } from './policy-writer.ts';

type Fields = Readonly<Record<string, unknown>>;

/**
 * Gives a host or one of its paths exact weights: in the policy whose one target is just that, else in a new
 * one of the namespace that owns the host. Everything else that the policy says stays.
 *
 * @throws HeadgateError HG1008 unknown cluster, HG1009 all 0, HG2007 unknown host or path
 */
export async function setWeights(
  view: HubView,
  writer: PolicyWriter,
  caller: Caller,
  request: WeightsRequest,
): Promise<WeightsResponse> {
  const host = request.host.toLowerCase();
  const target = `${host}${request.path ?? ''}`;
  checkWeights(view, request.weights);
  const namespace = ownerOf(view, host, request.path);
  const ref = existingPolicy(view, namespace, target) ?? { kind: 'TrafficPolicy', namespace, name: newName(target) };
  const clusters = Object.entries(request.weights)
    .map(([name, weight]) => ({ name, weight }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
  const change = await writer.change(caller, ref, (before) => {
    const spec = withWeights(before as Fields | undefined, target, clusters);
    // Our own edit of somebody's spec has to fit the schema that reads it.
    policyKinds.TrafficPolicy.spec.parse(spec);
    return spec;
  });
  if (change.action === 'deleted') throw new HeadgateError('HG9001', 'weights delete no policy');
  return {
    policy: objectTitle(ref),
    target,
    action: change.action,
    revision: (change.revision ?? view.state().revision).toString(),
    changed: change.action !== 'unchanged',
  };
}

function checkWeights(view: HubView, weights: WeightsRequest['weights']): void {
  const { members } = view.state();
  for (const name of Object.keys(weights)) {
    if (members.has(name)) continue;
    throw new HeadgateError('HG1008', `there is no cluster ${JSON.stringify(name.slice(0, 63))}`, {
      field: 'weights',
      remedy: `the fleet has ${members.size === 0 ? 'no cluster' : [...members.keys()].sort().join(', ')}`,
    });
  }
  if (Object.values(weights).filter((weight) => weight > 0).length > MAX_SHARES) {
    throw new HeadgateError('HG5005', `at most ${MAX_SHARES} clusters can share a route`, {
      field: 'weights',
      remedy: 'give fewer clusters a weight, or write a TrafficPolicy with several tiers',
    });
  }
  if (Object.values(weights).every((weight) => weight === 0)) {
    throw new HeadgateError('HG1009', 'weights sum to 0', {
      remedy: 'give at least one cluster a weight, or cordon the clusters instead',
    });
  }
}

function ownerOf(view: HubView, host: string, path: string | undefined): string {
  const owner = view.state().owners.get(host);
  const routes = compiledHosts(view, host).flatMap((compiled) => compiled.routes);
  if (owner === undefined || routes.length === 0) {
    throw new HeadgateError('HG2007', `no cluster serves the host ${JSON.stringify(host.slice(0, 253))}`, {
      remedy: 'see headgate get hosts',
    });
  }
  if (path !== undefined) {
    const wanted = pathsOf(path);
    if (!routes.some((route) => wanted.has(route.path))) {
      throw new HeadgateError('HG2007', `${host} has no route with the path ${JSON.stringify(path.slice(0, 253))}`, {
        remedy: `it has ${[...new Set(routes.map((route) => route.path))].sort().slice(0, 10).join(', ')}`,
      });
    }
  }
  return owner.namespace;
}

/** The first committed hub policy of the namespace whose one target is this route. */
function existingPolicy(view: HubView, namespace: string, target: string): ObjectRef | undefined {
  return [...view.state().trafficPolicies.values()]
    .filter((policy) => {
      const [ref, ...more] = policy.value.targetRefs;
      return policy.namespace === namespace && more.length === 0 && ref?.kind === 'Route' && ref.name === target;
    })
    .sort((a, b) => (a.createRevision < b.createRevision ? -1 : 1))
    .map(({ kind, name }) => ({ kind, namespace, name }))[0];
}

/** Readable, an RFC 1123 subdomain, and different for different targets. */
function newName(target: string): string {
  const words = target
    .replaceAll('*', 'wildcard')
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replaceAll(/^-+|-+$/g, '');
  return `weights-${words.slice(0, 40)}-${hash('sha256', target, 'hex').slice(0, 8)}`;
}

/** One tier with the weights, where the policy says its tiers; a first tier's spill rules stay. */
function withWeights(
  before: Fields | undefined,
  target: string,
  clusters: readonly { readonly name: string; readonly weight: number }[],
): Fields {
  const spec: Fields = before ?? { targetRefs: [{ group: 'headgate.dev', kind: 'Route', name: target }] };
  const section = (['overrides', 'defaults'] as const).find((name) => fields(spec[name])['tiers'] !== undefined);
  const place = section === undefined ? spec : fields(spec[section]);
  const first = Array.isArray(place['tiers']) ? fields(place['tiers'][0]) : {};
  const edited = { ...place, tiers: [{ ...first, clusters }] };
  return section === undefined ? edited : { ...spec, [section]: edited };
}

function fields(value: unknown): Fields {
  return typeof value === 'object' && value !== null ? (value as Fields) : {};
}
