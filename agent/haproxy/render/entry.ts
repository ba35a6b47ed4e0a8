import type { Fixed } from '../model/desired.ts';
import { files, sockets } from '../model/names.ts';
import { bind } from './bind.ts';
import { indent } from './indent.ts';
import { nameFresh } from './reuse.ts';
import { answers, forwarding, framing } from './rules/headers.ts';
import { loops } from './rules/loops.ts';
import { normalForm, plainPath } from './rules/normal-form.ts';
import { bySni, passedHosts } from './rules/passthrough.ts';
import { regexHosts } from './rules/regex.ts';
import { elseAnyHost, findHost, findPath, findRoute, found } from './rules/routing.ts';
import { affinityAnswer, targets } from './rules/splitting.ts';
import { clientBehindHops, forwardingBehindHops, hopAcl, onlyHops, secureBehindHops } from './rules/trusted-hops.ts';

// The fixed set of rules. They hold no name of any host, route, service or cluster: what differs between
// configurations is in the maps. Rules are ordered so that a plain request meets few of them.

/** The listener chain (fixed at start) and the one frontend that every client's request is decided in. */
export function entry({ cluster, listeners }: Pick<Fixed, 'cluster' | 'listeners'>): string[] {
  const proxied = listeners.proxyProtocol ? ' accept-proxy' : '';
  const tls = `ssl crt-list ${files.crtList} alpn h2,http/1.1`;
  const { trustedHops = [] } = listeners;
  const hops = trustedHops.length > 0;
  const proxies = hops ? [...hopAcl(trustedHops), ...(listeners.proxyProtocol ? [onlyHops] : [])] : [];
  const rules = [
    ...proxies,
    ...(hops ? clientBehindHops : []),
    ...framing,
    ...loops,
    nameFresh,
    ...plainPath,
    ...findRoute,
    ...(hops ? forwardingBehindHops : forwarding),
    found,
    ...normalForm,
    ...findHost,
    findPath('txn.host'),
    ...(listeners.tlsPassthrough ? passedHosts : []),
    ...regexHosts,
    ...elseAnyHost,
    ...targets,
    ...answers,
    ...affinityAnswer(cluster, hops ? secureBehindHops : 'ssl_fc'),
  ];
  if (!listeners.tlsPassthrough) {
    return [
      'frontend entry',
      ...indent([`${bind(listeners.http)}${proxied}`, `${bind(listeners.https)} ${tls}${proxied}`, ...rules]),
    ];
  }
  return [
    'frontend tls-front',
    ...indent([
      'mode tcp',
      // A default that is for HTTP only.
      'no option idle-close-on-response',
      `${bind(listeners.https)}${proxied}`,
      ...(listeners.proxyProtocol ? proxies : []),
      ...bySni,
      'default_backend tls-terminate',
    ]),
    'backend tls-terminate',
    ...indent(['mode tcp', `server terminate unix@${sockets.terminate} send-proxy-v2`]),
    'frontend entry',
    ...indent([
      `${bind(listeners.http)}${proxied}`,
      `bind unix@${sockets.terminate} mode 600 ${tls} accept-proxy`,
      ...rules,
    ]),
  ];
}
