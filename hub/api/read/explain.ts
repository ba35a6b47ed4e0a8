import { HeadgateError } from '../../../lib/errors.ts';
import type { ExplainRequest, Explanation } from '../../compile/explain/explanation.ts';
import type { FleetState } from '../../fleet/state.ts';
import type { HubView } from '../../view.ts';
import type { ExplainItem, ListResponse } from '../types.ts';
import { liveOf } from './troubles.ts';

/**
 * Explains a request at one entry, or at every cluster of the fleet.
 *
 * @param url what a client asks for; without a scheme http is meant.
 * @throws HeadgateError HG2001 no URL, HG2007 no such cluster
 */
export function explainUrl(
  view: HubView,
  explain: (request: ExplainRequest) => Explanation,
  url: string,
  cluster: string | undefined,
): ListResponse<ExplainItem> {
  const { host, path } = splitUrl(url);
  const state = view.state();
  if (cluster !== undefined && !state.members.has(cluster)) {
    throw new HeadgateError('HG2007', `there is no cluster ${JSON.stringify(cluster.slice(0, 63))}`, {
      remedy: 'see headgate cluster list',
    });
  }
  if (state.members.size === 0) {
    throw new HeadgateError('HG2007', 'the fleet has no cluster that a request could enter', {
      remedy: 'add one with headgate cluster add NAME',
    });
  }
  const entries = cluster === undefined ? [...state.members.keys()].sort() : [cluster];
  const items = entries.map((entry) => explainItem(state, url, explain({ host, path, entry })));
  return { items, revision: state.revision.toString() };
}

/**
 * Host and raw path as a client sends them. Not the URL class's reading: that would bring the path into a
 * normal form, which is for the data plane's rules to do.
 *
 * @throws HeadgateError HG2001
 */
export function splitUrl(url: string): { readonly host: string; readonly path: string } {
  const match = /^([^/?#\s]+)(\/[^?#]*)?/.exec(url.replace(/^https?:\/\//i, ''));
  // What no client can send, and other schemes.
  if (match?.[1] === undefined || match[1].includes('@') || /\s|^(?!https?:)[^/]*:\/\//i.test(url)) {
    throw new HeadgateError('HG2001', `${JSON.stringify(url.slice(0, 253))} is no URL`, {
      remedy: 'give for example https://shop.example/cart',
    });
  }
  return { host: match[1], path: match[2] === undefined || match[2] === '' ? '/' : match[2] };
}

function explainItem(
  state: FleetState,
  url: string,
  { request, normalPath, outcome, summary, route }: Explanation,
): ExplainItem {
  const common = { url, host: request.host, path: request.path, normal_path: normalPath, entry: request.entry };
  if (route === undefined) {
    const none = { route: null, clusters: [], split_source: null, fields: [], fallbacks: [], sticky: [], reasons: [] };
    return { ...common, outcome, summary, ...none, tier: 0 };
  }
  const { id, host, pathType, path, owner, recipients, ...split } = route;
  return {
    ...common,
    outcome,
    summary,
    route: { id, host, path_type: pathType, path, owner: owner ?? null, recipients },
    clusters: split.clusters.map(({ cluster, share, why, backend, ready }) => ({
      cluster,
      share,
      why,
      backend,
      ready,
      live: liveOf(state, cluster, backend, ready),
    })),
    split_source: split.splitSource,
    fields: split.fields,
    fallbacks: split.fallbacks,
    sticky: split.sticky,
    tier: split.tier,
    reasons: split.reasons,
  };
}
