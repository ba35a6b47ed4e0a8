import { expect, test } from 'vitest';
import type { Server, Slot } from '../model/desired.ts';
import { BackendSettings } from '../../../proto/gen/headgate/v1/configured.ts';
import { profileOf } from '../model/profile.ts';
import { endpointsOut } from './endpoints-out.ts';
import { parseServers } from './observe.ts';

const settings = BackendSettings.fromPartial({});

function server(name: string, state: Server['state'] = 'ready'): [string, Server] {
  return [name, { name, address: '10.0.0.1', port: 80, state }];
}

function slot(name: string, backend: string | undefined, servers: readonly [string, Server][]): Slot {
  return { name, profile: profileOf(settings), backend, settings, servers: new Map(servers) };
}

/** A line of `show servers state`. @param operational 0: down, 2: up */
function line(backend: string, name: string, operational: 0 | 2): string {
  return `3 ${backend} 1 ${name} 10.0.0.1 ${operational} 0 100 1 5 6 3 7 6 0 0 0 - 80 - 0 0 - - 0`;
}

const slots = [
  slot('s0', 'shop/web/80', [server('a'), server('b'), server('c', 'drain')]),
  slot('s1', 'shop/web/80#0123456789ab', [server('a'), server('b')]),
  slot('s2', 'shop/api/http', [server('a')]),
  slot('s3', undefined, []),
];

test('a backend is told with what is live of it, where it is worst off', () => {
  const servers = parseServers(
    ['s0 a 2', 's0 b 0', 's0 c 0', 's1 a 0', 's1 b 0', 's2 a 2']
      .map((words) => words.split(' '))
      .map(([backend = '', name = '', state]) => line(backend, name, state === '0' ? 0 : 2))
      .join('\n'),
  );
  expect([...endpointsOut(slots, servers).values()]).toEqual([{ backend: 'shop/web/80', live: 0, total: 2 }]);
});

test('what is well, or not known to HAProxy yet, is not told', () => {
  expect(endpointsOut(slots, parseServers(line('s0', 'a', 2))).size).toBe(0);
});
