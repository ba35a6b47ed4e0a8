import type { HaproxyBuild } from '../agent/haproxy/process/probe.ts';

/** What an older version cannot do or does worse than 3.2; measured, one sentence each. */
export function limits({ major, minor }: Pick<HaproxyBuild, 'major' | 'minor'>): readonly string[] {
  if (major > 2) return [];
  const old = `HAProxy ${major}.${minor}`;
  return [
    `${old} searches a whole map to change an entry: changes are slow above some 10,000 hosts`,
    `${old} starts its own counters at 0 after a reload`,
    `${old} passes a NUL byte in a header's value on to pods, which may take it for the end of the value`,
    `${old} ends a gRPC stream that the client broke off as if it were whole, where another cluster serves it`,
    `${old} opens a connection for each HTTP/2 call to pods that were added since its last reload`,
    `${old} loads certificates at a fifth of the speed of 3.0`,
  ];
}
