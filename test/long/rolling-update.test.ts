import { expect, test } from 'vitest';
import { RollingNodes } from '../fleet/rolling-nodes.ts';

const NODES = ['n1', 'n2', 'ip-10-0-0-3.ec2.internal'];

test('a rolling update of three nodes fails no request, of clients or of another cluster', async () => {
  await using nodes = await RollingNodes.start(NODES);
  for (const node of NODES) {
    const { ended } = await nodes.beginEnd(node);
    await ended;
    await nodes.startPod(node);
  }
  for (const { failures, requests } of await nodes.stop()) {
    expect(failures).toEqual([]);
    expect(Math.min(...Object.values(requests))).toBeGreaterThan(100);
  }
});
