import { createServer } from 'node:net';
import { once } from 'node:events';
import { expect, test } from 'vitest';

import { freeAddress } from './ports.ts';

test('no address is handed out twice, nor one that somebody listens on', async () => {
  const first = await freeAddress();
  const taken = Number(first.split(':')[1]) + 1;
  const server = createServer().listen(taken, '127.0.0.1');
  await once(server, 'listening');
  const more = await Promise.all(Array.from({ length: 10 }, freeAddress));
  server.close();
  expect(new Set([first, ...more]).size).toBe(11);
  expect(more).not.toContain(`127.0.0.1:${taken}`);
});
