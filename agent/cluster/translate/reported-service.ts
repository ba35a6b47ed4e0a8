import type { ServiceManifest } from '../../../lib/manifest/manifest.ts';
import { EndpointState } from '../../../proto/gen/headgate/v1/configured.ts';
import type { Service } from '../../../proto/gen/headgate/v1/reported.ts';
import type { SliceView } from './endpoint-slice.ts';
import { isExternalName, tcpPorts } from './service.ts';

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
