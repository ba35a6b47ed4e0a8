import { expect, test } from 'vitest';
import { isLabel } from './identity.ts';
import { nodeIdOf } from './node-id.ts';

test('a node’s id is its name where that is a label, and else a label of its own', () => {
  expect(nodeIdOf('n1')).toBe('n1');
  const names = ['ip-10-0-0-1.ec2.internal', 'ip-10-0-0-1-ec2.internal', 'a.b', 'a-b', '..', 'x'.repeat(200)];
  const ids = names.map(nodeIdOf);
  expect(ids.every(isLabel)).toBe(true);
  expect(new Set(ids).size).toBe(names.length);
  expect(ids[0]).toMatch(/^ip-10-0-0-1-ec2-internal-[0-9a-f]{12}$/);
});
