import { afterAll, beforeAll, expect, test } from 'vitest';

import { nodeAudience, tokenReviewAttestor } from '../../agent/identity/token-review.ts';
import { certificatesFixture } from '../../hub/certificates/certificates.fixture.ts';
import { issuerPin } from '../../hub/certificates/issuer-pin.ts';
import { hubAudience } from '../../hub/certificates/service-account-tokens.ts';
import { systemClock } from '../../lib/clock.ts';
import { makeKeyAndCsr } from '../../lib/identity/key.ts';
import { openKubernetesClient } from '../../lib/kubernetes/index.ts';
import type { KubeCluster } from './ground/kube-cluster.ts';
import { KubeGround } from './ground/kube-ground.ts';

let ground: KubeGround;
let eu: KubeCluster;

beforeAll(async () => {
  ground = await KubeGround.start({ clusters: ['eu'] });
  eu = ground.cluster('eu');
  await eu.createNamespace('headgate');
  for (const name of ['headgate-cluster-agent', 'headgate-node-agent', 'other']) {
    await eu.api.create({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: { namespace: 'headgate', name } });
  }
  await eu.api.create({ apiVersion: 'v1', kind: 'Node', metadata: { name: 'n1.eu.test' } });
  for (const name of ['headgate-node-agent', 'other']) {
    await eu.api.create({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { namespace: 'headgate', name },
      spec: { serviceAccountName: name, nodeName: 'n1.eu.test', containers: [{ name: 'agent', image: 'none' }] },
    });
  }
});
afterAll(async () => await ground?.[Symbol.asyncDispose]());

/** As the kubelet projects it into a pod, where `pod` is one. */
async function tokenOf(account: string, audience: string, pod?: string): Promise<string> {
  const bound = pod === undefined ? [] : ['--bound-object-kind', 'Pod', '--bound-object-name', pod];
  const args = ['create', 'token', account, '-n', 'headgate', '--audience', audience, '--duration', '10m', ...bound];
  return (await eu.kubectl(args)).trim();
}

test('a node agent’s token names the node of its pod, and no other token does', async () => {
  await using client = await openKubernetesClient({ kubeconfig: eu.kubeconfig, clock: systemClock });
  const { signal } = new AbortController();
  const attestor = tokenReviewAttestor(client, 'headgate/headgate-node-agent', signal);
  const good = await tokenOf('headgate-node-agent', nodeAudience, 'headgate-node-agent');
  expect(await attestor.attest(good)).toMatch(/^n1-eu-test-[0-9a-f]{12}$/);
  const wrong = {
    'bound to no pod': await tokenOf('headgate-node-agent', nodeAudience),
    'another audience': await tokenOf('headgate-node-agent', hubAudience, 'headgate-node-agent'),
    'another ServiceAccount': await tokenOf('other', nodeAudience, 'other'),
    forged: `${good.slice(0, -8)}AAAAAAAA`,
    'no token': 'x',
  };
  for (const [name, token] of Object.entries(wrong)) {
    const error: unknown = await attestor.attest(token).catch((thrown: unknown) => thrown);
    expect({ name, error }).toMatchObject({ name, error: { code: 'HG2004' } });
  }
  // One that was reviewed already stays in the API server's memory for 10 s.
  const late = await tokenOf('headgate-node-agent', nodeAudience, 'headgate-node-agent');
  await eu.kubectl(['delete', 'pod', '-n', 'headgate', 'headgate-node-agent', '--grace-period=0', '--force']);
  await expect(attestor.attest(late)).rejects.toMatchObject({ code: 'HG2004' });
});

test('a hub takes a cluster agent’s token by the keys that the API server publishes', async () => {
  await using hub = await certificatesFixture();
  const { keys } = JSON.parse(await eu.kubectl(['get', '--raw', '/openid/v1/jwks'])) as { keys: unknown };
  const serviceAccount = 'headgate/headgate-cluster-agent';
  await hub.serviceAccountTokens.pin('eu', issuerPin.parse({ issuer: eu.issuer, serviceAccount, keys }), []);
  const enrol = async (token: string) => {
    const csrs = { controlCsr: (await makeKeyAndCsr()).csr, gatewayCsr: (await makeKeyAndCsr()).csr };
    const request = { token, cluster: 'eu', clusterUid: 'uid-of-eu', node: 'n1', issuers: undefined, ...csrs };
    return (await hub.enrolment.enrol(request)).credentials?.cluster;
  };
  expect(await enrol(await tokenOf('headgate-cluster-agent', hubAudience))).toBe('eu');
  await expect(enrol(await tokenOf('headgate-cluster-agent', eu.issuer))).rejects.toMatchObject({ code: 'HG2004' });
  await expect(enrol(await tokenOf('other', hubAudience))).rejects.toMatchObject({ code: 'HG2004' });
});
