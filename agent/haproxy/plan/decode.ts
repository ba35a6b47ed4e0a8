import { HeadgateError } from '../../../lib/errors.ts';
import { forbiddenAddress } from '../../../lib/domain/endpoint-address.ts';
import { ANY_HOST, isWildcard, validHost } from '../../../lib/domain/host-name.ts';
import { validRulePath } from '../../../lib/domain/path.ts';
import { isPathRegex, readPathRegex, withinHost } from '../../../lib/domain/path-regex/path-regex.ts';
import { isLabel } from '../../../lib/identity/identity.ts';
import type { Resource } from '../../../lib/sync/index.ts';
import {
  Backend,
  Certificate,
  Endpoints,
  Host,
  HostSplit,
  PathType,
  Peer,
  type Route,
} from '../../../proto/gen/headgate/v1/configured.ts';
import { isAddress, isPort, parseHostPort } from '../model/address.ts';
import { combinedPem } from '../model/pem.ts';
import { MAX_TARGETS } from '../model/route-value.ts';
import type { OfferedCertificate } from './certificates.ts';
import { checkSettings } from './settings.ts';

// Resource bodies are checked again here: whatever a hub or relay let through, nothing that HAProxy could
// misread gets past this file. Each function throws HeadgateError and changes nothing.

/** @returns which of the node's own listeners an address and port reach; undefined: none. */
export type OwnListener = (address: string, port: number) => string | undefined;

const routeIdForm = /^[0-9a-f]{16}$/;
/** Bytes of the names in one entry of the list of certificates, which goes to HAProxy as one command. */
const MAX_NAMES = 14_000;

function check(holds: boolean, field: string, problem: string): asserts holds {
  if (!holds) throw new HeadgateError('HG1002', problem, { field });
}

function body<T>(resource: Resource, type: { decode(bytes: Uint8Array): T }): T {
  try {
    return type.decode(resource.body);
  } catch (error) {
    throw new HeadgateError('HG1001', 'the body does not decode', { cause: error });
  }
}

function checkedRoute(route: Route, field: string): Route {
  const { backendSettings } = route;
  return backendSettings === undefined
    ? route
    : { ...route, backendSettings: checkSettings(backendSettings, `${field}.backendSettings`) };
}

/** @param ownerOf the host that a route id belongs to now. */
export function decodeHost(resource: Resource, ownerOf: (routeId: string) => string | undefined): Host {
  const host = body(resource, Host);
  check(host.name === resource.name, 'name', 'is not the resource’s');
  check(host.name === ANY_HOST || validHost(host.name), 'name', 'is no host name');
  check(host.name === ANY_HOST || host.defaultRoute === undefined, 'defaultRoute', 'stands on "*" only');
  const seen = new Set<string>();
  const identified = (route: Route, field: string): void => {
    check(routeIdForm.test(route.id), `${field}.id`, 'is not 16 lower-case hex digits');
    check(!seen.has(route.id), `${field}.id`, 'is given twice');
    check((ownerOf(route.id) ?? host.name) === host.name, `${field}.id`, 'belongs to another host');
    seen.add(route.id);
  };
  for (const [i, route] of host.routes.entries()) {
    identified(route, `routes[${i}]`);
    check(
      route.pathType === PathType.EXACT || route.pathType === PathType.PREFIX || route.pathType === PathType.REGEX,
      `routes[${i}].pathType`,
      'is unknown',
    );
    const valid = route.pathType === PathType.REGEX ? isPathRegex(route.path) : validRulePath(route.path);
    check(valid, `routes[${i}].path`, 'can match no request');
  }
  const regexes = host.routes.filter(({ pathType }) => pathType === PathType.REGEX);
  check(regexes.length === 0 || host.name !== ANY_HOST, 'routes', 'have a regular expression without a host');
  const kept = withinHost(regexes.map(({ path }) => readPathRegex(path)));
  check(kept.length === regexes.length, 'routes', 'have more regular expressions than a host may');
  if (host.defaultRoute !== undefined) identified(host.defaultRoute, 'defaultRoute');
  return {
    ...host,
    routes: host.routes.map((route, i) => checkedRoute(route, `routes[${i}]`)),
    defaultRoute: host.defaultRoute === undefined ? undefined : checkedRoute(host.defaultRoute, 'defaultRoute'),
  };
}

export function decodeSplit(resource: Resource): HostSplit {
  const split = body(resource, HostSplit);
  check(split.host === resource.name, 'host', 'is not the resource’s name');
  for (const [i, route] of split.routes.entries()) {
    check(routeIdForm.test(route.routeId), `routes[${i}].routeId`, 'is not 16 lower-case hex digits');
    const clusters = [...route.shares.map(({ cluster }) => cluster), ...route.fallbacks, ...route.sticky];
    check(clusters.every(isLabel), `routes[${i}]`, 'names a cluster that is no RFC 1123 label');
    if (route.shares.length > MAX_TARGETS) {
      throw new HeadgateError('HG5005', `route ${route.routeId} is shared between more than ${MAX_TARGETS} clusters`, {
        remedy: `name at most ${MAX_TARGETS} clusters in a tier`,
      });
    }
  }
  return split;
}

export function decodeBackend(resource: Resource): Backend {
  const backend = body(resource, Backend);
  check(
    resource.name === `${backend.namespace}/${backend.service}/${backend.portName || backend.portNumber}`,
    'name',
    'is not <namespace>/<service>/<port>',
  );
  check(backend.portName !== '' || isPort(backend.portNumber), 'portNumber', 'is no port');
  return backend;
}

/** @param own what an address and port reach that no request may be sent to. */
export function decodeEndpoints(resource: Resource, own: OwnListener): Endpoints {
  const endpoints = body(resource, Endpoints);
  for (const [i, port] of endpoints.ports.entries()) {
    check(isPort(port.targetPort), `ports[${i}].targetPort`, 'is no port');
  }
  for (const [i, { address }] of endpoints.endpoints.entries()) {
    const field = `endpoints[${i}].address`;
    check(isAddress(address), field, 'is no IP address');
    const why = forbiddenAddress(address);
    check(why === undefined, field, `${address} ${why}`);
    for (const { targetPort } of endpoints.ports) {
      const listener = own(address, targetPort);
      check(listener === undefined, field, `${address} with port ${targetPort} is ${listener} of this node itself`);
    }
  }
  return endpoints;
}

export function decodeCertificate(resource: Resource): OfferedCertificate {
  const { namespace, hosts, chain, privateKey, fallback } = body(resource, Certificate);
  check(hosts.length > 0 || fallback, 'hosts', 'is empty');
  for (const [i, host] of hosts.entries()) check(validHost(host), `hosts[${i}]`, 'is no host name');
  const distinct = [...new Set(hosts)];
  if (distinct.join(' ').length > MAX_NAMES) {
    throw new HeadgateError('HG5005', `the certificate is for hosts whose names have more than ${MAX_NAMES} bytes`, {
      remedy: 'list a wildcard under spec.tls in their place, or give some of them a Secret of their own',
    });
  }
  return { namespace, hosts: distinct, pem: combinedPem(chain, privateKey), fallback };
}

export interface PeerTarget {
  readonly cluster: string;
  readonly serverName: string;
  readonly addresses: readonly { readonly address: string; readonly port: number }[];
}

export function decodePeer(resource: Resource): PeerTarget {
  const { cluster, serverName, addresses } = body(resource, Peer);
  check(cluster === resource.name, 'cluster', 'is not the resource’s name');
  check(isLabel(cluster), 'cluster', 'is no RFC 1123 label');
  check(validHost(serverName) && !isWildcard(serverName), 'serverName', 'is no DNS name');
  return {
    cluster,
    serverName,
    // HAProxy resolves no name for a server that is added at runtime. One such address does not cost the others.
    addresses: addresses.flatMap((text) => parseHostPort(text) ?? []),
  };
}
