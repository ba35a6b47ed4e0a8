import { isIPv6 } from 'node:net';
import type { z } from 'zod';
import type { EndpointSliceManifest } from './manifest.ts';
import type { endpointsSpec } from './schemas.ts';

/** Label that names the Service of an EndpointSlice (discovery.k8s.io/v1, LabelServiceName). */
export const SERVICE_NAME_LABEL = 'kubernetes.io/service-name';

/**
 * The slices that Kubernetes' mirroring controller would make of a v1 Endpoints object: one per subset and
 * address family. Addresses that are not ready are left out, as no request may go there.
 */
export function slicesOfEndpoints(
  object: Omit<EndpointSliceManifest, 'kind' | 'spec'>,
  { subsets }: z.output<typeof endpointsSpec>,
): readonly EndpointSliceManifest[] {
  return (subsets ?? []).flatMap((subset, index) =>
    (['IPv4', 'IPv6'] as const).flatMap((addressType): EndpointSliceManifest[] => {
      const addresses = (subset.addresses ?? []).filter(({ ip }) => isIPv6(ip) === (addressType === 'IPv6'));
      if (addresses.length === 0) return [];
      return [
        {
          ...object,
          kind: 'EndpointSlice',
          // No object of Kubernetes can have such a name, so it hides none.
          name: `endpoints:${object.name}:${index}${addressType === 'IPv6' ? ':ipv6' : ''}`,
          labels: new Map([...object.labels, [SERVICE_NAME_LABEL, object.name]]),
          spec: { addressType, ports: subset.ports, endpoints: addresses.map(({ ip }) => ({ addresses: [ip] })) },
        },
      ];
    }),
  );
}
