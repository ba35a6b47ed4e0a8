import type { ServiceManifest } from '../../../lib/manifest/manifest.ts';
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
