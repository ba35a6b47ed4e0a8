import type { ServiceManifest } from '../../../lib/manifest/manifest.ts';
import { EndpointState } from '../../../proto/gen/headgate/v1/configured.ts';
import type { Service } from '../../../proto/gen/headgate/v1/reported.ts';
import type { SliceView } from './endpoint-slice.ts';
import type { Fault } from './problems.ts';

export interface TcpPort {
  /** Empty where the Service has one unnamed port. */
  readonly name: string;
  readonly number: number;
}

/** Ports that HTTP can reach, ascending by number. */
export function tcpPorts({ spec }: ServiceManifest): readonly TcpPort[] {
  return (spec.ports ?? [])
    .filter(({ protocol }) => (protocol ?? 'TCP') === 'TCP')
    .map(({ name, port }) => ({ name: name ?? '', number: port }))
    .sort((a, b) => a.number - b.number || (a.name < b.name ? -1 : 1));
}

export function isExternalName({ spec }: ServiceManifest): boolean {
  return spec.type === 'ExternalName';
}

/** The Service with the count of distinct ready addresses behind each port, over all its slices. */
export function reportedService(service: ServiceManifest, slices: readonly SliceView[]): Service {
  const ports = tcpPorts(service).map(({ name, number }) => {
    const ready = new Set<string>();
    if (!isExternalName(service)) {
      for (const slice of slices) {
        for (const port of slice.ports.filter(({ servicePort }) => servicePort === number)) {
          for (const { address, state } of slice.endpoints) {
            if (state === EndpointState.READY) ready.add(`${address} ${port.targetPort}`);
          }
        }
      }
    }
    return { name, number, ready: ready.size };
  });
  return { namespace: service.namespace, name: service.name, ports };
}

export function serviceFaults(service: ServiceManifest): readonly Fault[] {
  if (!isExternalName(service)) return [];
  return [
    {
      code: 'HG1010',
      field: 'spec.type',
      message: 'ExternalName is refused: it would let a tenant send requests anywhere',
      remedy: 'use a Service with EndpointSlices',
      severity: 'error',
    },
  ];
}
