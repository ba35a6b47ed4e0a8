import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { haproxyFolders } from '../../agent/haproxy/process/haproxy-folder.ts';
import { findNoted, isAlive } from '../../agent/haproxy/process/stop.ts';
import { keepAliveLoad, until } from '../../agent/haproxy/testing/plane.fixture.ts';
import { testBackend } from '../../agent/haproxy/testing/rig.fixture.ts';
import { haproxyPids } from '../../cli/demo/process-fleet.ts';
import { headgate } from '../../cli/demo/processes.ts';
import { ColdNode, siteResources } from './cold-node.ts';

// Root of a namespace of its own where this user is not root.
const isRoot = process.getuid?.() === 0;
const unshare = ['unshare', ...(isRoot ? [] : ['--user', '--map-root-user']), '--mount'];

/** Runs a command once mounts have been made that it and its children alone see. */
function within(script: string, ...words: readonly string[]): string[] {
  return [...unshare, 'sh', '-c', `${script} && shift ${words.length} && exec "$@"`, 'sh', ...words];
}

async function node(): Promise<{ cold: ColdNode; stack: AsyncDisposableStack }> {
  const stack = new AsyncDisposableStack();
  const upstream = stack.use(await testBackend('one'));
  const cold = stack.use(await ColdNode.make());
  await cold.keep(await siteResources(3, upstream.port));
  return { cold, stack };
}

it('a node starts on a read-only disk, says so, is taken over and stopped like any other', async () => {
  const { cold, stack } = await node();
  await using _ = stack;
  const readOnly = within('mount --bind "$1" "$1" && mount -o remount,bind,ro "$1"', cold.data);
  const before = readdirSync(join(cold.data, 'haproxy', 'run'));

  await cold.start(readOnly);
  expect(await cold.status('site2.example')).toBe(200);
  expect(await cold.certificate('site2.example')).toBe('site2.example');
  const told = await cold.ops('/readyz?verbose');
  expect(told).toMatch(/^\[\+\]ledger ok: .*it is read-only/m);
  expect(told).toMatch(/^\[\+\]haproxy ok: HAProxy's files are in .*EROFS/m);
  expect(await cold.ops('/metrics')).toMatch(/^headgate_disk_writable 0$/m);
  expect(readdirSync(join(cold.data, 'haproxy', 'run'))).toEqual(before);
  const [, folder = ''] = await haproxyFolders(cold.data);
  const haproxy = (await findNoted(folder))?.master ?? 0;

  await cold.agent?.end('SIGKILL');
  await cold.start(readOnly);
  expect((await findNoted(folder))?.master).toBe(haproxy);
  expect(await cold.status('site2.example')).toBe(200);

  const { agent } = cold;
  expect(await headgate(['agent', 'stop', '--data', cold.data])).toMatchObject({ code: 0 });
  expect(agent?.running).toBe(false);
  expect(isAlive(haproxy)).toBe(false);
  expect(await haproxyFolders(cold.data)).toHaveLength(1);
});

it('a disk that goes away under a node stops no traffic, is told, and heals when it is back', async () => {
  const { cold, stack } = await node();
  await using _ = stack;
  const disk = `${cold.data}-disk`;
  execFileSync('mv', [cold.data, disk]);
  mkdirSync(cold.data);
  await cold.start(within('mount --bind "$2" "$1"', cold.data, disk));
  // Out of the namespace it is not found by the data folder.
  stack.defer(async () => {
    await cold.agent?.end('SIGKILL');
    for (const pid of haproxyPids(disk)) process.kill(pid, 'SIGKILL');
  });
  const inside = (...command: readonly string[]) =>
    execFileSync('nsenter', [
      ...(isRoot ? [] : ['--user', '--preserve-credentials']),
      '--mount',
      `--target=${String(cold.agent?.pid)}`,
      ...command,
    ]);
  const http = Number(String(cold.agent?.ready['http']).split(':')[1]);
  await using load = keepAliveLoad(http, 'site1.example');

  inside('umount', '--lazy', cold.data);
  const told = await until(
    () => cold.ops('/readyz?verbose'),
    (text) => /ledger ok: .*not there any more/.test(text) && /haproxy ok: .*socket/.test(text),
  );
  expect(told.ms).toBeLessThan(2_000 + 5_000);
  expect(await cold.ops('/metrics')).toMatch(/^headgate_disk_writable 0$/m);
  // Nothing is written to what lies below.
  expect(readdirSync(cold.data)).toEqual([]);

  inside('mount', '--bind', disk, cold.data);
  await until(
    () => cold.ops('/readyz?verbose'),
    (text) => /^\[\+\]ledger ok$/m.test(text) && /^\[\+\]haproxy ok$/m.test(text),
  );
  expect(await cold.ops('/metrics')).toMatch(/^headgate_disk_writable 1$/m);
  await load.stop();
  expect(load.failures).toEqual([]);
});
