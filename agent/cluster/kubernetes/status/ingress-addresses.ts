import { isIP } from 'node:net';
import { z } from 'zod';
import { compare } from '../../../../lib/compare.ts';
import type { KubernetesObject } from '../../../../lib/kubernetes/index.ts';

/** An entry of an Ingress's status.loadBalancer.ingress. */
export type IngressAddress = { readonly ip: string } | { readonly hostname: string };

/** More would make every Ingress's status long, and a client needs a few. */
const MOST_NODES = 16;

/** IP addresses and host names as given. */
export function addressesOf(texts: readonly string[]): readonly IngressAddress[] {
  return texts.map((text) => (isIP(text) === 0 ? { hostname: text } : { ip: text }));
}

const nodeShape = z.object({
  spec: z.object({ unschedulable: z.boolean().optional() }).optional(),
  status: z
    .object({
      addresses: z.array(z.object({ type: z.string(), address: z.string() })).nullish(),
      conditions: z.array(z.object({ type: z.string(), status: z.string() })).nullish(),
    })
    .optional(),
});

/** Where one node is reached: its external addresses, else its internal ones; none while it should get no traffic. */
export function nodeAddresses(node: KubernetesObject): readonly string[] {
  const { data } = nodeShape.safeParse(node);
  if (data === undefined || data.spec?.unschedulable === true) return [];
  const { addresses, conditions } = data.status ?? {};
  if (!(conditions ?? []).some(({ type, status }) => type === 'Ready' && status === 'True')) return [];
  const ofType = (wanted: string): string[] =>
    (addresses ?? []).flatMap(({ type, address }) => (type === wanted && isIP(address) !== 0 ? [address] : []));
  const external = ofType('ExternalIP');
  return external.length > 0 ? external : ofType('InternalIP');
}

/** Of all nodes: sorted and few, so that they change only when nodes do. */
export function addressesOfNodes(nodes: Iterable<readonly string[]>): readonly IngressAddress[] {
  return addressesOf([...new Set([...nodes].flat())].sort(compare).slice(0, MOST_NODES));
}

const serviceShape = z.object({
  spec: z.object({
    type: z.string().default('ClusterIP'),
    externalName: z.string().nullish(),
    externalIPs: z.array(z.string()).nullish(),
    clusterIPs: z.array(z.string()).nullish(),
  }),
  status: z
    .object({
      loadBalancer: z
        .object({ ingress: z.array(z.object({ ip: z.string().nullish(), hostname: z.string().nullish() })).nullish() })
        .nullish(),
    })
    .nullish(),
});

/** Where a Service is reached from outside; from inside, where it has nothing else. */
export function addressesOfService(service: KubernetesObject): readonly IngressAddress[] {
  const { data } = serviceShape.safeParse(service);
  if (data === undefined) return [];
  const { type, externalName, externalIPs, clusterIPs } = data.spec;
  if (type === 'ExternalName') return addressesOf([externalName ?? ''].filter((name) => name !== ''));
  const balancer = (data.status?.loadBalancer?.ingress ?? []).flatMap(({ ip, hostname }) => ip ?? hostname ?? []);
  const outside = [...new Set([...balancer, ...(externalIPs ?? [])])];
  // One that waits for its balancer has no address that a client could use.
  if (outside.length > 0 || type === 'LoadBalancer') return addressesOf(outside);
  return addressesOf((clusterIPs ?? []).filter((ip) => isIP(ip) !== 0));
}
