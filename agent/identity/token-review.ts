import { createHash } from 'node:crypto';
import { z } from 'zod';
import { HeadgateError } from '../../lib/errors.ts';
import { nodeIdOf } from '../../lib/identity/node-id.ts';
import type { ApiResource, KubernetesClient } from '../../lib/kubernetes/index.ts';
import type { NodeAttestor } from './node-enrolment.ts';

/** Audience of the tokens that node agents show to their cluster agent; no other program takes it. */
export const nodeAudience = 'headgate-cluster-agent';

const tokenReviews: ApiResource = {
  group: 'authentication.k8s.io',
  version: 'v1',
  plural: 'tokenreviews',
  kind: 'TokenReview',
  namespaced: false,
};

const reviewed = z.object({
  status: z.object({
    authenticated: z.boolean().default(false),
    audiences: z.array(z.string()).default([]),
    user: z
      .object({ username: z.string().default(''), extra: z.record(z.string(), z.array(z.string())).default({}) })
      .optional(),
  }),
});

/** Of a token that is bound to a pod: where that pod runs, as the API server knows it (KEP-4193). */
const nodeNameKey = 'authentication.kubernetes.io/node-name';

/**
 * Asks the API server whose token it is. The node is the one that the token's pod runs on; what the caller says of
 * itself is not looked at.
 *
 * @param serviceAccount `NAMESPACE/NAME` that node agents run as.
 */
export function tokenReviewAttestor(
  client: KubernetesClient,
  serviceAccount: string,
  signal: AbortSignal,
): NodeAttestor {
  const [namespace = '', name = ''] = serviceAccount.split('/');
  const user = `system:serviceaccount:${namespace}:${name}`;
  return {
    attest: async (token) => {
      // Written nowhere: the review's name is a digest, for the client wants one.
      const review = { metadata: { name: createHash('sha256').update(token).digest('hex') } };
      const spec = { token, audiences: [nodeAudience] };
      const answer = reviewed.safeParse(await client.create(tokenReviews, { ...review, spec }, signal));
      const status = answer.data?.status;
      if (status?.authenticated !== true || !status.audiences.includes(nodeAudience)) {
        throw new HeadgateError('HG2004', 'the API server does not vouch for the ServiceAccount token', {
          remedy: `project one with the audience ${nodeAudience}`,
        });
      }
      if (status.user?.username !== user) {
        throw new HeadgateError('HG2004', `the token is not one of ServiceAccount ${serviceAccount}`);
      }
      const node = status.user.extra[nodeNameKey]?.[0] ?? '';
      if (node === '') {
        throw new HeadgateError('HG2004', 'the token is bound to no pod that runs on a node', {
          remedy: 'use a projected token; Kubernetes 1.30 and later put the node into it',
        });
      }
      return nodeIdOf(node);
    },
  };
}
