import { z } from 'zod';
import { label } from './labels.ts';
import { confirmGuard } from '../ingest/guard/confirm-guard.ts';
import type { GuardRecord } from '../fleet/state.ts';
import type { ExplainRequest, Explanation } from '../compile/explain/explanation.ts';
import { type Endpoint, read, write } from './endpoint.ts';
import { describe } from './read/describe.ts';
import { explainUrl } from './read/explain.ts';
import { list } from './read/list.ts';
import { fleetStatus, guardItems } from './read/status.ts';
import { type ClusterWrites, addCluster, pinCluster, readmit, removeCluster, revoke } from './write/clusters.ts';
import { setCordon } from './write/cordon.ts';
import { MAX_MANIFESTS, applyManifests, deleteManifests } from './write/objects.ts';
import { setWeights } from './write/weights.ts';

export interface ApiRooms extends ClusterWrites {
  readonly explain: (request: ExplainRequest) => Explanation;
  /** Resolves when what is read shows the revision. */
  readonly reached: (revision: bigint) => Promise<void>;
}

const manifests = z.strictObject({
  manifests: z.string(),
  source: z.string().max(4_096).optional(),
  dryRun: z.boolean().optional(),
});
const weights = z.strictObject({
  host: z.string().min(1).max(253),
  path: z.string().startsWith('/').max(1_024).optional(),
  weights: z.record(z.string(), z.int().min(0).max(1_000_000)),
});
const newCluster = z.strictObject({
  name: z.string(),
  role: z.enum(['cluster', 'node']).optional(),
  labels: z.record(label, label).optional(),
});

const newIssuer = z.strictObject({
  issuer: z.string().max(1_024),
  jwks: z.object({ keys: z.array(z.unknown()).max(16) }),
  serviceAccount: z.string().max(512).optional(),
  labels: z.record(label, label).optional(),
});
const revocation = z.strictObject({
  node: z.string().max(63).optional(),
  serial: z
    .string()
    .regex(/^[0-9a-fA-F]{1,40}$/)
    .transform((serial) => serial.toLowerCase())
    .optional(),
});

/** Everything that the API does, with who may. */
export function apiEndpoints(rooms: ApiRooms): readonly Endpoint[] {
  const { view, store, writer } = rooms;
  /** Who has been told of a write can read it. */
  const shown = async <T extends { readonly revision: string }>(result: T): Promise<T> => {
    await rooms.reached(BigInt(result.revision));
    return result;
  };
  const applied = async <T extends { readonly results: readonly { readonly revision: string | null }[] }>(
    response: T,
  ): Promise<T> => {
    const revisions = response.results.map(({ revision }) => BigInt(revision ?? 0));
    await rooms.reached(revisions.reduce((a, b) => (a > b ? a : b), 0n));
    return response;
  };
  return [
    read('/v1/status', () => fleetStatus(view)),
    read('/v1/guards', () => ({ items: guardItems(view), revision: view.state().revision.toString() })),
    read('/v1/explain', ({ query }) =>
      explainUrl(view, rooms.explain, query.get('url') ?? '', query.get('cluster') ?? undefined),
    ),
    read('/v1/get/:kind', async ({ parameters, query }) => await list(view, store, listQuery(parameters, query))),
    read('/v1/describe/:kind', async ({ parameters, query }) => describe(view, store, listQuery(parameters, query))),
    write(
      ['POST', '/v1/apply', 'operator'],
      manifests,
      async ({ caller, body }) => applied(await applyManifests(writer, caller, body)),
      MAX_MANIFESTS * 2,
    ),
    write(
      ['POST', '/v1/delete', 'operator'],
      manifests,
      async ({ caller, body }) => applied(await deleteManifests(writer, caller, body)),
      MAX_MANIFESTS * 2,
    ),
    write(['POST', '/v1/weights', 'operator'], weights, async ({ caller, body }) =>
      shown(await setWeights(view, writer, caller, body)),
    ),
    write(
      ['PUT', '/v1/clusters/:name/cordon', 'operator'],
      z.strictObject({ cordoned: z.boolean() }),
      async (request) => {
        const { caller, parameters, body } = request;
        return shown(await setCordon(view, writer, caller, parameters['name'] ?? '', body.cordoned));
      },
    ),
    write(['POST', '/v1/guards/:id/confirm', 'operator'], z.strictObject({}), async ({ caller, parameters }) => {
      const { record, revision } = await confirmGuard(store, parameters['id'] ?? '', (guard) => [
        rooms.audit.record(caller, confirmed(guard)),
      ]);
      rooms.audit.committed(caller, confirmed(record), revision);
      return shown({ revision: revision.toString(), changed: true });
    }),
    write(['POST', '/v1/clusters', 'admin'], newCluster, async ({ caller, body }) =>
      shown(await addCluster(rooms, caller, body)),
    ),
    write(['PUT', '/v1/clusters/:name/issuer', 'admin'], newIssuer, async ({ caller, parameters, body }) =>
      shown(await pinCluster(rooms, caller, parameters['name'] ?? '', body)),
    ),
    write(['POST', '/v1/clusters/:name/revocations', 'admin'], revocation, async ({ caller, parameters, body }) =>
      shown(await revoke(rooms, caller, parameters['name'] ?? '', body)),
    ),
    write(
      ['DELETE', '/v1/clusters/:name/revocations/:node', 'admin'],
      z.strictObject({}),
      async ({ caller, parameters }) =>
        shown(await readmit(rooms, caller, parameters['name'] ?? '', parameters['node'] ?? '')),
    ),
    write(['DELETE', '/v1/clusters/:name', 'admin'], z.strictObject({}), async ({ caller, parameters }) =>
      shown(await removeCluster(rooms, caller, parameters['name'] ?? '')),
    ),
  ];
}

function confirmed({ id, message }: GuardRecord): string {
  return `confirmed guard ${id}: ${message}`;
}

function listQuery(parameters: Readonly<Record<string, string>>, query: URLSearchParams) {
  return {
    kind: parameters['kind'] ?? '',
    name: query.get('name') ?? undefined,
    namespace: query.get('namespace') ?? undefined,
  };
}
