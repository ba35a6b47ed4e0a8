import { ResourceStatus } from '../../../../lib/policy/custom-resources/resource-status.ts';
import type { ObjectStatus } from '../../../../proto/gen/headgate/v1/configured.ts';
import type { Finding } from '../../../../lib/policy/custom-resources/conditions.ts';
import type { IngressAddress } from './ingress-addresses.ts';
import type { SeenObject } from './seen-objects.ts';

/** What to apply to an object. Without `status` everything of it that is ours goes. */
export interface Wanted {
  readonly status?: object;
}

/** Longest text of `fleet`, as the definition has it. */
const LONGEST_FLEET = 1_024;

/**
 * @param addresses undefined while they are not known.
 * @returns undefined where nothing is to be written.
 */
export function wantedOfIngress(
  seen: SeenObject,
  isOurClass: boolean,
  addresses: readonly IngressAddress[] | undefined,
): Wanted | undefined {
  // Only what is ours is ever taken away: an Ingress of another class is its own controller's.
  if (!isOurClass || addresses?.length === 0) return seen.isOurs ? {} : undefined;
  if (addresses === undefined || stands(seen.status, addresses)) return undefined;
  return { status: { loadBalancer: { ingress: addresses } } };
}

/** Whether the status that the API server has says these addresses, and no other. */
function stands(status: unknown, addresses: readonly IngressAddress[]): boolean {
  const balancer = isRecord(status) ? status['loadBalancer'] : undefined;
  const ingress = isRecord(balancer) ? balancer['ingress'] : undefined;
  if (!Array.isArray(ingress) || ingress.length !== addresses.length) return false;
  return addresses.every((wanted, at) => {
    const entry: unknown = ingress[at];
    return isRecord(entry) && ('ip' in wanted ? entry['ip'] === wanted.ip : entry['hostname'] === wanted.hostname);
  });
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/**
 * @param hub what the hub says of the policy; until it speaks of the generation that stands the old status stays, unless
 *   this cluster itself found that the object cannot be in force.
 * @param now Unix milliseconds
 * @returns undefined where nothing is to be written.
 */
export function wantedOfPolicy(
  seen: SeenObject,
  findings: readonly Finding[],
  hub: Pick<ObjectStatus, 'generation' | 'fleet'> | undefined,
  now: number,
): Wanted | undefined {
  if (seen.isHubs) return undefined;
  const isHeard = hub !== undefined && hub.generation >= BigInt(seen.generation);
  if (!isHeard && findings.every(({ accepted }) => accepted)) return undefined;
  const fleet = (hub?.fleet ?? '').slice(0, LONGEST_FLEET);
  const standing = ResourceStatus.of({ metadata: { name: seen.name }, status: seen.status });
  const status = standing.next(findings, fleet, seen.generation, now);
  return status === undefined ? undefined : { status };
}
