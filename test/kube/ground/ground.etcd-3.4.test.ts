import { expect, test } from 'vitest';
import { KubeGround } from './kube-ground.ts';

test('on etcd 3.4 a cluster works but for streaming initial lists, which it refuses within the stream', async () => {
  await using ground = await KubeGround.start({ clusters: ['eu'], etcd: '3.4' });
  const { api } = ground.cluster('eu');
  const events = [];
  for await (const event of api.watch('v1', 'Namespace', { sendInitialEvents: true })) events.push(event);
  expect(events).toMatchObject([{ type: 'ERROR', object: { kind: 'Status', code: 500 } }]);
  expect(JSON.stringify(events)).toContain('RequestWatchProgress is disabled');
  const { items } = await api.list('v1', 'Namespace');
  expect(items.map(({ metadata }) => metadata.name)).toContain('default');
});
