import { expect, test } from 'vitest';
import { refuses } from './refuses.ts';
import { RollingNodes } from './rolling-nodes.ts';

test('a node that ends is left by clients and by another cluster without a failed request', async () => {
  await using nodes = await RollingNodes.start(['n1', 'ip-10-0-0-2.ec2.internal']);
  const { pod } = await nodes.beginEnd('n1');
  // What Kubernetes asks of a pod that ends: with no other on its node it goes on getting connections.
  expect((await pod.readiness('/haproxy')).status).toBe(200);
  await refuses(pod.http);
  for (const { failures, requests } of await nodes.stop()) {
    expect(failures).toEqual([]);
    expect(Math.min(...Object.values(requests))).toBeGreaterThan(10);
  }
}, 90_000);
