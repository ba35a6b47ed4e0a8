import { z } from 'zod';
import type { Policy } from '../../../../proto/gen/headgate/v1/reported.ts';

/** Which of this cluster's Ingresses a policy is about. */
export interface PolicyTargets {
  /** @param ingress `Ingress/<namespace>/<name>` */
  governs(ingress: string): boolean;
}

const shape = z.object({
  targetRefs: z.array(z.object({ kind: z.string(), name: z.string() })).default([]),
});

/** A route as target says nothing of Ingresses; the hub tells what becomes of it. */
export function targetsOf({ namespace, specJson }: Policy): PolicyTargets {
  const { targetRefs } = shape.parse(JSON.parse(specJson));
  const names = new Set(
    targetRefs.flatMap(({ kind, name }) => (kind === 'Ingress' ? [`Ingress/${namespace}/${name}`] : [])),
  );
  const isWhole = targetRefs.some(({ kind, name }) => kind === 'Namespace' && name === namespace);
  return {
    governs: (ingress) => names.has(ingress) || (isWhole && ingress.startsWith(`Ingress/${namespace}/`)),
  };
}
