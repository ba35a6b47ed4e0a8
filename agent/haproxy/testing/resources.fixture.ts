import { routeId } from '../../../lib/domain/route-id.ts';
import { type Resource, resource } from '../../../lib/sync/index.ts';
import {
  Backend,
  BackendSettings,
  Certificate,
  Endpoints,
  EndpointState,
  Host,
  HostSplit,
  PathType,
  Peer,
  type Route,
  type RouteSplit,
} from '../../../proto/gen/headgate/v1/configured.ts';

type RouteShape = {
  path: string;
  exact?: boolean;
  regex?: boolean;
  at: Record<string, string>;
  settings?: Parameters<typeof BackendSettings.create>[0];
};

/** @param at cluster → backend resource name. */
export function route(host: string, { path, exact = false, regex = false, at, settings }: RouteShape): Route {
  const pathType = exact ? PathType.EXACT : regex ? PathType.REGEX : PathType.PREFIX;
  return {
    id: routeId(host, pathType, path),
    pathType,
    path,
    contributions: Object.entries(at).map(([cluster, backend]) => ({ cluster, backend, ready: 1 })),
    traffic: undefined,
    backendSettings: settings === undefined ? undefined : BackendSettings.create(settings),
  };
}

/** Its owner is the namespace of its first route's backends. */
export function host(name: string, routes: RouteShape[], defaultRoute?: RouteShape): Resource {
  const [backend = ''] = Object.values(routes[0]?.at ?? {});
  const body = Host.create({
    name,
    namespace: backend.split('/')[0] ?? '',
    routes: routes.map((shape) => route(name, shape)),
  });
  const full =
    defaultRoute === undefined ? body : { ...body, defaultRoute: { ...route(`${name} default`, defaultRoute) } };
  return resource('host', name, Host.encode(full).finish());
}

export function split(name: string, routes: (Partial<RouteSplit> & { path: string; exact?: boolean })[]): Resource {
  const body = HostSplit.create({
    host: name,
    routes: routes.map(({ path, exact = false, ...rest }) => ({
      shares: [],
      fallbacks: [],
      affinity: false,
      sticky: [],
      tier: 0,
      reasons: [],
      ...rest,
      routeId: routeId(name, exact ? PathType.EXACT : PathType.PREFIX, path),
    })),
  });
  return resource('split', name, HostSplit.encode(body).finish());
}

/** @param name <namespace>/<service>/<port> */
export function backend(name: string): Resource {
  const [namespace = '', service = '', port = ''] = name.split('/');
  const portNumber = /^\d+$/.test(port) ? Number(port) : 0;
  const body = Backend.create({ namespace, service, portNumber, portName: portNumber === 0 ? port : '' });
  return resource('backend', name, Backend.encode(body).finish());
}

/** One slice: every endpoint listens on the same port. */
export function endpoints(
  service: string,
  port: number,
  addresses: readonly string[],
  draining: readonly string[] = [],
  slice = 'a',
): Resource {
  const [namespace = '', name = ''] = service.split('/');
  const body = Endpoints.create({
    namespace,
    service: name,
    ports: [{ name: 'http', servicePort: 80, targetPort: port }],
    endpoints: [
      ...addresses.map((address) => ({ address, state: EndpointState.READY })),
      ...draining.map((address) => ({ address, state: EndpointState.DRAINING })),
    ],
  });
  return resource('endpoints', `${namespace}/${name}-${slice}`, Endpoints.encode(body).finish());
}

export function peer(cluster: string, addresses: readonly string[]): Resource {
  const body = Peer.create({ cluster, addresses: [...addresses], serverName: `${cluster}.gateway.headgate` });
  return resource('peer', cluster, Peer.encode(body).finish());
}

export function certificate(
  name: string,
  hosts: readonly string[],
  leaf: { readonly certificate: string; readonly key: string },
  fallback = false,
): Resource {
  const [namespace = '', secret = ''] = name.split('/');
  const body = Certificate.create({
    namespace,
    secret,
    hosts: [...hosts],
    chain: leaf.certificate,
    privateKey: leaf.key,
    fallback,
  });
  return resource('own-certificate', name, Certificate.encode(body).finish());
}
