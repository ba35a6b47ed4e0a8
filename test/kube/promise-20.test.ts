import { readFile, writeFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startFaultProxy } from '../faults/fault-proxy.ts';
import { KubeGround } from './ground/kube-ground.ts';
import { kubePrograms } from './ground/programs.ts';
import { endpointSlice, ingress, service } from './ground/objects.ts';
import { ingressClass, KubeFollower } from './source/followed.fixture.ts';

/** Milliseconds that the promise gives. */
const REACH = 30_000;

/** 3.4 is what some distributions have, and is not everywhere. */
const versions = (await kubePrograms()).oldEtcd === undefined ? (['3.6'] as const) : (['3.6', '3.4'] as const);

describe.each(versions)('promise-20 watch gaps heal, on etcd %s', (etcd) => {
  let ground: KubeGround;
  beforeAll(async () => {
    ground = await KubeGround.start({ clusters: ['eu'], etcd });
    const { api } = ground.cluster('eu');
    await api.apply(ingressClass, service({ namespace: 'default', name: 'web' }));
  });
  afterAll(async () => await ground[Symbol.asyncDispose]());

  /** What happens while the agent cannot see it: something comes, changes and goes. */
  async function changeUnseen(round: string): Promise<void> {
    const { api } = ground.cluster('eu');
    await api.apply(
      ingress({ namespace: 'default', name: `new-${round}`, host: `new-${round}.example`, ...OURS }),
      ingress({ namespace: 'default', name: 'kept', host: `kept-${round}.example`, ...OURS }),
      slice(`10.244.1.${round.length}`),
    );
    await api.delete(ingress({ namespace: 'default', name: `old-${round}`, host: 'old.example', ...OURS }));
  }

  test.each([
    ['events dropped on the way, the link half open', 'half-open'],
    ['the connection reset', 'reset'],
    ['the API server restarted, its versions too old', 'restarted'],
    ['the API server stopped and resumed', 'stopped'],
  ])('%s', async (_what, round) => {
    const eu = ground.cluster('eu');
    for (const name of [`old-${round}`, 'kept']) {
      await eu.api.apply(ingress({ namespace: 'default', name, host: `${name}.example`, ...OURS }));
    }
    await eu.api.apply(slice('10.244.0.1'));
    await using proxy = await startFaultProxy(eu.server.slice('https://'.length));
    const kubeconfig = `${eu.kubeconfig}.${round}`;
    const direct = await readFile(eu.kubeconfig, 'utf8');
    await writeFile(kubeconfig, direct.replace(eu.server, `https://${proxy.address}`), { mode: 0o600 });
    await using kube = await KubeFollower.start(kubeconfig);
    const { follower } = kube;
    await follower.next();
    const before = follower.names('ingress');

    const cut = performance.now();
    proxy.faults.halfOpen = true;
    if (round === 'stopped') eu.pause();
    if (round === 'restarted') await eu.kill();
    if (round === 'stopped') eu.resume();
    if (round === 'restarted') await eu.resurrect();
    await changeUnseen(round);
    const healed = performance.now();
    proxy.faults.halfOpen = false;
    if (round === 'reset') proxy.cut();
    await follower.until(
      () =>
        follower.hosts('default/kept')[0] === `kept-${round}.example` &&
        follower.names('ingress').includes(`default/new-${round}`) &&
        !follower.names('ingress').includes(`default/old-${round}`) &&
        kube.addresses('default/web-1')[0] === `10.244.1.${round.length}`,
    );
    const converged = performance.now();
    // Nothing that is there was ever told to be gone.
    expect(follower.removed('ingress')).toEqual([`default/old-${round}`]);
    expect(before.length).toBeGreaterThan(0);
    expect(converged - healed).toBeLessThan(REACH);
    process.stdout.write(
      `promise-20 etcd ${etcd} ${round}: blind ${Math.round(healed - cut)} ms, converged ${Math.round(converged - healed)} ms after\n`,
    );
  });
});

const OURS = { service: 'web', ingressClass: 'headgate' };

function slice(address: string) {
  return endpointSlice({ namespace: 'default', name: 'web-1', service: 'web', port: 8080, endpoints: [{ address }] });
}
