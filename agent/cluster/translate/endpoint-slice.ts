import { isIPv4, isIPv6 } from 'node:net';
import { forbiddenAddress, isLoopback } from '../../../lib/domain/endpoint-address.ts';
import { SERVICE_NAME_LABEL } from '../../../lib/manifest/endpoints.ts';
import type { EndpointSliceManifest, ServiceManifest } from '../../../lib/manifest/manifest.ts';
import { quoted } from '../../../lib/manifest/quoted.ts';
import { EndpointState, type Endpoint, type EndpointPort } from '../../../proto/gen/headgate/v1/configured.ts';
import type { Fault } from './problems.ts';
import { tcpPorts } from './service.ts';

/** A slice's share of a Service. */
export interface SliceView {
  readonly ports: readonly EndpointPort[];
  /** Ascending by address; one per address. */
  readonly endpoints: readonly Endpoint[];
  readonly faults: readonly Fault[];
}

/** `<namespace>/<service>` that a slice belongs to; undefined where its label names none. */
export function serviceOfSlice({ namespace, labels }: EndpointSliceManifest): string | undefined {
  const service = labels.get(SERVICE_NAME_LABEL);
  return service === undefined || service === '' ? undefined : `${namespace}/${service}`;
}

export const UNLABELLED: Fault = {
  code: 'HG1003',
  field: `metadata.labels[${SERVICE_NAME_LABEL}]`,
  message: `the label ${SERVICE_NAME_LABEL} is missing, so the slice belongs to no Service`,
  remedy: 'set it to the name of the Service',
  severity: 'warning',
};

export function viewSlice(slice: EndpointSliceManifest, service: ServiceManifest, allowLoopback: boolean): SliceView {
  const { addressType } = slice.spec;
  if (addressType === 'FQDN') {
    const fault: Fault = {
      code: 'HG1010',
      field: 'addressType',
      message: 'addressType FQDN is not supported',
      remedy: 'list IPv4 or IPv6 addresses',
      severity: 'error',
    };
    return { ports: [], endpoints: [], faults: [fault] };
  }
  const faults: Fault[] = [];
  const ports = portsOf(slice, service, faults);
  const states = new Map<string, EndpointState>();
  (slice.spec.endpoints ?? []).forEach((endpoint, index) => {
    const state = stateOf(endpoint.conditions ?? {});
    // The API gives no meaning to further addresses of one endpoint, and kube-proxy does not look at them.
    const [address = ''] = endpoint.addresses;
    const field = `endpoints[${index}].addresses`;
    const reason = addressFault(address, addressType, allowLoopback);
    if (reason !== undefined) {
      const message = `${quoted(address)} ${reason}`;
      faults.push({ code: 'HG1002', field: `${field}[0]`, message, remedy: 'correct the address', severity: 'error' });
      return;
    }
    if (endpoint.addresses.length > 1) {
      const message = 'only the first address of an endpoint is used';
      faults.push({ code: 'HG1010', field, message, remedy: 'make each address an endpoint', severity: 'warning' });
    }
    if (state !== undefined && states.get(address) !== EndpointState.READY) states.set(address, state);
  });
  const endpoints = [...states]
    .map(([address, state]): Endpoint => ({ address, state }))
    .sort((a, b) => (a.address < b.address ? -1 : 1));
  return { ports, endpoints, faults };
}

/** Ports of the slice that the Service has by name: its number there, and where the endpoints listen. */
function portsOf(slice: EndpointSliceManifest, service: ServiceManifest, faults: Fault[]): EndpointPort[] {
  const known = tcpPorts(service);
  return (slice.spec.ports ?? [])
    .flatMap((port, index): EndpointPort[] => {
      if ((port.protocol ?? 'TCP') !== 'TCP' || port.port === undefined || port.port === null) return [];
      const name = port.name ?? '';
      const match = known.find((candidate) => candidate.name === name);
      if (match === undefined) {
        faults.push({
          code: 'HG1003',
          field: `ports[${index}].name`,
          message: `Service ${service.namespace}/${service.name} has no TCP port named ${quoted(name)}, so nothing reaches it`,
          remedy: 'give the port the name that it has in the Service',
          severity: 'warning',
        });
        return [];
      }
      return [{ name, servicePort: match.number, targetPort: port.port }];
    })
    .sort((a, b) => a.servicePort - b.servicePort);
}

interface Conditions {
  readonly ready?: boolean | null | undefined;
  readonly serving?: boolean | null | undefined;
  readonly terminating?: boolean | null | undefined;
}

/** EndpointConditions: unknown ready and serving count as true, unknown terminating as false. */
function stateOf({ ready, serving, terminating }: Conditions): EndpointState | undefined {
  if (ready ?? true) return EndpointState.READY;
  return (serving ?? true) && (terminating ?? false) ? EndpointState.DRAINING : undefined;
}

function addressFault(address: string, family: 'IPv4' | 'IPv6', allowLoopback: boolean): string | undefined {
  // A zone ("fe80::1%eth0") means nothing to another process.
  const valid = family === 'IPv4' ? isIPv4(address) : isIPv6(address) && !address.includes('%');
  if (!valid) return `is no ${family} address`;
  if (!allowLoopback && isLoopback(address)) return 'is a loopback address';
  return forbiddenAddress(address);
}
