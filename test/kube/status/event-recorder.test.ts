import { afterAll, beforeAll, expect, test } from 'vitest';
import { EventRecorder, type ObjectEvent } from '../../../agent/cluster/kubernetes/events/event-recorder.ts';
import { systemClock, type Clock } from '../../../lib/clock.ts';
import { openKubernetesClient, resources, type KubernetesClient } from '../../../lib/kubernetes/index.ts';
import { silentLog } from '../../../lib/log.ts';
import type { KubeObject } from '../ground/kube-api.ts';
import type { KubeCluster } from '../ground/kube-cluster.ts';
import { KubeGround } from '../ground/kube-ground.ts';
import { ingress } from '../ground/objects.ts';
import { eventsOf, type SeenEvent } from './statuses.fixture.ts';

let ground: KubeGround;
let eu: KubeCluster;
let client: KubernetesClient;
beforeAll(async () => {
  ground = await KubeGround.start({ clusters: ['eu'] });
  eu = ground.cluster('eu');
  client = await openKubernetesClient({ kubeconfig: eu.kubeconfig, clock: systemClock });
});
afterAll(async () => {
  await client[Symbol.asyncDispose]();
  await ground[Symbol.asyncDispose]();
});

const web = ingress({ namespace: 'default', name: 'web', host: 'web.example', service: 'web' });

interface Told {
  readonly series?: { readonly count: number };
}

/** A recorder that runs, and a clock that can be moved on. */
function recorder(): { recorder: EventRecorder; pass: (ms: number) => void; stop: () => Promise<void> } {
  let passed = 0;
  const clock: Clock = { ...systemClock, now: () => systemClock.now() + passed };
  const made = new EventRecorder({ client, instance: 'n1', isHeld: () => true, clock, log: silentLog });
  const end = new AbortController();
  const running = made.run(end.signal);
  const stop = async (): Promise<void> => {
    end.abort();
    await running;
  };
  return { recorder: made, pass: (ms) => (passed += ms), stop };
}

function about(uid: string, note: string): ObjectEvent {
  const regarding = {
    resource: resources.ingresses,
    namespace: 'default',
    name: 'web',
    uid,
    generation: 1,
    resourceVersion: '1',
    status: undefined,
    isOurs: true,
    isHubs: false,
  };
  return { regarding, type: 'Warning', reason: 'Conflicted', action: 'Configure', note };
}

const notes = async (): Promise<string[]> => (await eventsOf(eu, web)).map(({ note }) => note);

test('the same Event is told once in 10 minutes, then as a series, by whichever replica', async () => {
  await eu.api.create(web);
  const { uid = '' } = (await eu.api.get<KubeObject>(web)).metadata;
  const first = recorder();
  for (let times = 0; times < 5; times++) first.recorder.record(about(uid, 'the host is taken'));
  await expect.poll(notes, { timeout: 10_000 }).toEqual(['the host is taken']);
  const series = async (): Promise<unknown> => ((await eventsOf(eu, web))[0] as SeenEvent & Told).series?.count;
  first.pass(599_000);
  first.recorder.record(about(uid, 'the host is taken'));
  first.recorder.record(about(uid, 'something else'));
  await expect.poll(notes, { timeout: 10_000 }).toContain('something else');
  expect((await eventsOf(eu, web)).map((event) => (event as SeenEvent & Told).series)).toEqual([undefined, undefined]);
  first.pass(2_000);
  first.recorder.record(about(uid, 'the host is taken'));
  await expect
    .poll(async () => (await eventsOf(eu, web)).map((event) => (event as SeenEvent & Told).series?.count), {
      timeout: 10_000,
    })
    .toContain(2);
  await first.stop();

  // Another replica that finds it told already leaves it as it is.
  const second = recorder();
  second.recorder.record(about(uid, 'the host is taken'));
  second.recorder.record(about(uid, 'a third thing'));
  await expect.poll(notes, { timeout: 10_000 }).toContain('a third thing');
  expect(await notes()).toHaveLength(3);
  expect(await series()).not.toBe(3);
  await second.stop();
});

test('about one object ten at once, and a note is printable and fits', async () => {
  const other = recorder();
  other.recorder.record(about('long', `\u001b[31m${'é'.repeat(2_000)}`));
  for (let at = 0; at < 40; at++) other.recorder.record(about('flood', `note ${at}`));
  other.recorder.record(about('last', 'the last one'));
  await expect.poll(notes, { timeout: 15_000 }).toContain('the last one');
  const all = await notes();
  expect(all.filter((note) => /^note \d+$/.test(note))).toHaveLength(10);
  const long = all.find((note) => note.includes('éé')) ?? '';
  expect(long.startsWith('\\u001b[31m')).toBe(true);
  expect(Buffer.byteLength(long)).toBeLessThanOrEqual(1_024);
  await other.stop();
});
