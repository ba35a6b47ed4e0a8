import { X509Certificate } from 'node:crypto';
import { type TestLeaf, testCa } from '../../../agent/haproxy/testing/certificates.fixture.ts';
import { API_VERSION } from '../../../lib/policy/schemas.ts';
import {
  BASE,
  baseHost,
  type KubeFleet,
  OPEN,
  openHost,
  openIngress,
  SHARED,
  sliceOf,
} from '../../kube/fleet/kube-fleet.ts';
import { type KubeChange, newIngress, written } from '../../kube/fleet/until-live.ts';
import type { KubeObject } from '../../kube/ground/kube-api.ts';
import { ingress, service } from '../../kube/ground/objects.ts';
import { tlsSecret } from '../../kube/source/followed.fixture.ts';
import { firstSeen, presented } from '../fleet/poller.ts';

/** Where changes are written. */
export const HOME = 'eu';
const AWAY = 'us';

/** One kind of change, made again and again. */
export interface KubeKind {
  readonly name: string;
  /** Whether the writer's own entry is a row of its own. */
  readonly own: boolean;
  change(number: number): KubeChange;
  /** Takes away what a change made, so that the fleet stays as large as it was. */
  readonly tidy?: (number: number) => Promise<void>;
}

/** What is written, for a watch beside it. */
export const writtenKinds = [
  { apiVersion: 'networking.k8s.io/v1', kind: 'Ingress' },
  { apiVersion: 'v1', kind: 'Service' },
  { apiVersion: 'v1', kind: 'Secret' },
  { apiVersion: 'discovery.k8s.io/v1', kind: 'EndpointSlice' },
  { apiVersion: API_VERSION, kind: 'TrafficPolicy' },
];

/** Lets policies of a cluster's own govern the fleet. */
const GRANT = `apiVersion: ${API_VERSION}
kind: Cluster
metadata: { name: ${HOME} }
spec: { grants: { policies: Fleet } }
`;

/** The kinds of change, and what each needs to begin with. */
export async function prepareKinds(fleet: KubeFleet): Promise<readonly KubeKind[]> {
  const { api } = fleet.cluster(HOME);
  const ca = await testCa();
  const leaves = await Promise.all([0, 1].map(async () => await ca.leaf(openHost('certificate'))));
  await fleet.processes.must(['apply', '-f', '-'], GRANT);
  await api.apply(
    pathIngress(undefined),
    openIngress('endpoint'),
    service({ namespace: OPEN, name: 'endpoint' }),
    endpoints(fleet, 0),
    certificateOf(leaves, 1),
    withCertificate('certificate'),
    weights(AWAY),
  );
  const { clusters } = fleet;
  const begun = ['path', 'endpoint', 'certificate'].map((name) => ({
    what: name,
    look: served(fleet, openHost(name)),
  }));
  begun.push({ what: 'weight', look: answeredBy(fleet, baseHost(0), `${AWAY}-`) });
  for (const { what, look } of begun) {
    await Promise.all(clusters.map(async (cluster) => await firstSeen(async () => await look(cluster), what)));
  }
  return [
    {
      name: 'new Ingress',
      own: false,
      change: (number) => newIngress(fleet, HOME, `new-${number}`),
      tidy: async (number) => await api.delete(openIngress(`new-${number}`)),
    },
    {
      name: 'path edited',
      own: false,
      change: (number) => ({
        write: async () => await written(api.update(pathIngress(number))),
        look: served(fleet, openHost('path'), `/p${number}/x`),
        clusters,
        what: 'a path',
      }),
    },
    {
      name: 'weight, by a TrafficPolicy',
      own: false,
      change: (number) => {
        const to = number % 2 === 0 ? HOME : AWAY;
        return {
          write: async () => await written(api.patch(weights(to), { spec: tiers(to) })),
          look: answeredBy(fleet, baseHost(0), `${to}-`),
          clusters,
          what: 'a weight',
        };
      },
    },
    {
      name: 'endpoint',
      own: true,
      change: (number) => {
        const wanted = (number + 1) % 2;
        return {
          write: async () => await written(api.update(endpoints(fleet, wanted))),
          look: answeredBy(fleet, openHost('endpoint'), `${HOME}-${wanted + 1}`),
          clusters,
          what: 'an endpoint',
        };
      },
    },
    {
      name: 'certificate renewed in its Secret',
      own: true,
      change: (number) => {
        const wanted = new X509Certificate(leaves[number % 2]?.certificate ?? '').fingerprint256;
        const { https } = fleet.processes.cluster(HOME);
        return {
          write: async () => await written(api.update(certificateOf(leaves, number % 2))),
          look: async () => (await presented(https, openHost('certificate'))) === wanted,
          clusters: [HOME],
          what: 'a certificate',
        };
      },
    },
    {
      name: 'new Service',
      own: false,
      change: (number) => ({
        write: async () => {
          const name = `born-${number}`;
          await api.create(openIngress(name));
          await api.create(sliceOf(OPEN, name, fleet.pods.of(HOME)));
          return await written(api.create(service({ namespace: OPEN, name })));
        },
        look: served(fleet, openHost(`born-${number}`)),
        clusters,
        what: 'a Service',
      }),
      tidy: async (number) => {
        const name = `born-${number}`;
        for (const object of [openIngress(name), service({ namespace: OPEN, name }), sliceOf(OPEN, name, [])]) {
          await api.delete(object);
        }
      },
    },
  ];
}

function served(fleet: KubeFleet, host: string, path = '/') {
  return async (cluster: string): Promise<boolean> => (await fleet.connection(cluster).get(host, path)).status === 200;
}

/** @param pod what the name of the pod that answers begins with */
function answeredBy(fleet: KubeFleet, host: string, pod: string) {
  return async (cluster: string): Promise<boolean> =>
    (await fleet.connection(cluster).get(host, '/')).body.includes(`"pod":"${pod}`);
}

/** Whatever has no path of its own is not found, so that a new path is seen by its status. */
function pathIngress(number: number | undefined): KubeObject {
  const object = ingress({
    namespace: OPEN,
    name: 'path',
    host: openHost('path'),
    service: SHARED,
    ingressClass: 'headgate',
  });
  const backend = { service: { name: SHARED, port: { number: 80 } } };
  const paths = [
    { path: '/', pathType: 'Exact', backend },
    ...(number === undefined ? [] : [{ path: `/p${number}`, pathType: 'Prefix', backend }]),
  ];
  return {
    ...object,
    spec: { ingressClassName: 'headgate', rules: [{ host: openHost('path'), http: { paths } }] },
  };
}

function endpoints(fleet: KubeFleet, ready: number): KubeObject {
  return sliceOf(OPEN, 'endpoint', fleet.pods.of(HOME).slice(ready, ready + 1));
}

function withCertificate(name: string): KubeObject {
  const shape = { namespace: OPEN, name, host: openHost(name), service: SHARED, ingressClass: 'headgate' };
  return ingress({ ...shape, tlsSecret: name });
}

function certificateOf(leaves: readonly TestLeaf[], at: number): KubeObject {
  const leaf = leaves[at];
  if (leaf === undefined) throw new RangeError('no certificate');
  return tlsSecret(OPEN, 'certificate', leaf);
}

function weights(to: string): KubeObject {
  const targetRefs = [{ group: 'networking.k8s.io', kind: 'Ingress', name: 'r0' }];
  return {
    apiVersion: API_VERSION,
    kind: 'TrafficPolicy',
    metadata: { namespace: BASE, name: 'weights' },
    spec: { targetRefs, ...tiers(to) },
  };
}

function tiers(to: string) {
  return { tiers: [{ clusters: [HOME, AWAY].map((name) => ({ name, weight: name === to ? 1 : 0 })) }] };
}
