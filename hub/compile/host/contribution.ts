import { REFUSED_SERVICE } from '../../../lib/domain/refused-service.ts';
import { type Resource, resource } from '../../../lib/sync/index.ts';
import { Backend, type Contribution } from '../../../proto/gen/headgate/v1/configured.ts';
import type { BackendRef } from '../../../proto/gen/headgate/v1/reported.ts';
import type { FleetState } from '../../fleet/state.ts';
import type { Offer } from './offers.ts';
import { compare } from '../../../lib/compare.ts';
import { ingressStatus } from '../status.ts';
import type { ObjectStatus } from '../types.ts';

export interface Contributed {
  readonly contribution: Contribution;
  readonly backend: Resource | undefined;
  readonly status: ObjectStatus | undefined;
}

/**
 * What an offer adds to its route. A Service or port that is not there contributes no ready endpoint: the
 * route exists and answers 503 or spills, as the Ingress API asks.
 */
export function contribute(state: FleetState, offer: Offer): Contributed {
  const { cluster, namespace, backend: ref } = offer;
  if (ref === undefined) {
    const status = missing(offer, 'the rule names no Service', 'name a Service; other kinds of backend are not served');
    return { contribution: { cluster, backend: '', ready: 0 }, backend: undefined, status };
  }
  const backend = backendResource(namespace, ref);
  if (ref.service === REFUSED_SERVICE)
    return { contribution: { cluster, backend: backend.name, ready: 0 }, backend, status: undefined };
  const service = state.clusters.get(cluster)?.services.get(`${namespace}/${ref.service}`);
  const port = service?.ports.find(({ name, number }) =>
    ref.portName === '' ? number === ref.portNumber : name === ref.portName,
  );
  const status =
    service === undefined
      ? missing(offer, `Service ${namespace}/${ref.service} is not there`, 'create the Service, or name another')
      : port === undefined
        ? missing(
            offer,
            `Service ${namespace}/${ref.service} has no port ${portOf(ref)}`,
            `name one of its ports: ${service.ports.map(({ name, number }) => (name === '' ? number : `${name} (${number})`)).join(', ')}`,
          )
        : undefined;
  return { contribution: { cluster, backend: backend.name, ready: port?.ready ?? 0 }, backend, status };
}

/** backend/<namespace>/<service>/<port>, the port as the Ingress names it. */
function backendResource(namespace: string, ref: BackendRef): Resource {
  const { service, portName, portNumber } = ref;
  const body = Backend.encode({ namespace, service, portName, portNumber: portName === '' ? portNumber : 0 }).finish();
  return resource('backend', `${namespace}/${service}/${portOf(ref)}`, body);
}

/** Ascending by name, each once. */
export function sortBackends(backends: Iterable<Resource>): Resource[] {
  const byName = new Map<string, Resource>();
  for (const backend of backends) byName.set(backend.name, backend);
  return [...byName.values()].sort((a, b) => compare(a.name, b.name));
}

function portOf({ portName, portNumber }: BackendRef): string {
  return portName === '' ? String(portNumber) : portName;
}

function missing(offer: Offer, message: string, remedy: string): ObjectStatus {
  return ingressStatus(offer, { accepted: true, reason: 'PartiallyProgrammed', code: 'HG1003', message, remedy });
}
