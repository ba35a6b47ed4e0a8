import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { haproxyPids, ProcessFleet } from '../../cli/demo/process-fleet.ts';
import { Program, until } from '../../cli/demo/processes.ts';
import { isAlive } from '../../agent/haproxy/process/stop.ts';
import { AGENT_PORTS, canMount, expectRefusal, HUB_PORTS, readOnly, run, sized, takenPort } from './run.fixture.ts';

let root: string;
let file: string;
let empty: string;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'hg-'));
  file = join(root, 'file');
  writeFileSync(file, 'kept');
  empty = join(root, 'empty');
  mkdirSync(empty);
});
afterAll(() => rmSync(root, { recursive: true, force: true }));

let folders = 0;
function unusedFolder(): string {
  return join(root, `d${++folders}`);
}

function hub(data: string, ...flags: readonly string[]): readonly string[] {
  return ['hub', '--data', data, ...HUB_PORTS, ...flags];
}

/** No identity, no keys of a refused enrolment, no HAProxy. */
function expectNothingMade(data: string): void {
  const made = existsSync(data) ? readdirSync(data, { recursive: true }) : [];
  expect(made.filter((name) => name !== 'identity' && name !== 'identity/cluster-uid')).toEqual([]);
}

describe('a hub', () => {
  test.each([
    ['--nope', '', "unknown option '--nope'"],
    ['--grpc', 'nonsense', '--grpc'],
    ['--http', '127.0.0.1:99999', '--http'],
    ['--ops', '127.0.0.1:-1', '--ops'],
    ['--store', 'paper', '--store paper is unknown'],
  ])('with a wrong flag %s %s', async (flag, value, words) => {
    const data = unusedFolder();
    expectRefusal(await run(hub(data, ...[flag, value].filter((word) => word !== ''))), 2, 'HG2001', words);
    expect(existsSync(data)).toBe(false);
  });

  test.each(['--grpc', '--http', '--ops'])('with the port of %s taken makes nothing', async (flag) => {
    using port = await takenPort();
    const data = unusedFolder();
    expectRefusal(await run(hub(data, flag, port.address)), 1, 'HG2002', port.address, 'the port is taken');
    expect(existsSync(data)).toBe(false);
  });

  test('with a file where its folder should be leaves the file alone', async () => {
    expectRefusal(await run(hub(file)), 1, 'HG2003', `'${file}'`, 'a file of that name is there');
    expectRefusal(await run(hub(join(file, 'below'))), 1, 'HG2003', 'a part of the path is a file');
    expect(readFileSync(file, 'utf8')).toBe('kept');
  });

  test.runIf(canMount)('with a folder that takes no writes', async () => {
    expectRefusal(await run(hub(empty), { before: readOnly(empty) }), 1, 'HG2003', empty, 'read-only');
    expectRefusal(await run(hub(empty), { before: sized(empty, '16k') }), 1, 'HG2003', empty, 'full');
    const script = `${sized(empty, '1m')} && dd if=/dev/zero of='${empty}/fill' bs=4k 2>/dev/null; true`;
    expectRefusal(await run(hub(empty), { before: script }), 1, 'HG2003', empty);
    expect(readdirSync(empty)).toEqual([]);
  });

  test('beside a second one on its folder goes on', async () => {
    await using fleet = await ProcessFleet.start(unusedFolder());
    expectRefusal(await run(hub(join(fleet.data, 'hub'))), 1, 'HG2003', 'in use by another hub');
    expect((await fleet.run(['status'])).code).toBe(0);
    expect(fleet.hub.running).toBe(true);
  });
});

describe('an agent', () => {
  let fleet: ProcessFleet;
  let other: ProcessFleet;
  let token: string;
  beforeAll(async () => {
    [fleet, other] = await Promise.all([ProcessFleet.start(unusedFolder()), ProcessFleet.start(unusedFolder())]);
    token = join(root, 'token');
    writeFileSync(token, await fleet.must(['cluster', 'add', 'eu', '-o', 'token']));
  });
  afterAll(async () => {
    await Promise.all([fleet, other].map(async (one) => await one.stop()));
  });

  function agent(data: string, ...flags: readonly string[]): readonly string[] {
    const source = `directory:${empty}`;
    const known = ['--hub', String(fleet.hub.ready['grpc']), '--cluster', 'eu', '--source', source, '--data', data];
    return ['agent', ...known, ...AGENT_PORTS, ...flags];
  }

  test.each([
    [['--nope'], "unknown option '--nope'"],
    [['--listen-http', 'nonsense'], '--listen-http'],
    [['--listen-gateway', ':'], '--listen-gateway'],
    [['--advertise', 'b:'], '--advertise'],
    [['--hub', ''], '--hub'],
    [['--node', 'A B'], '--node'],
    [['--roles', 'king'], '--roles'],
    [['--source', 'git:x'], '--source'],
  ])('with a wrong flag %j', async (flags, words) => {
    const data = unusedFolder();
    expectRefusal(await run(agent(data, '--join', token, ...flags)), 2, 'HG2001', words);
    expect(existsSync(data)).toBe(false);
  });

  test('whose manifests are no folder', async () => {
    const data = unusedFolder();
    for (const [source, words] of [
      [join(root, 'none'), 'is not there'],
      [file, 'is not a folder'],
    ] as const) {
      const flags = ['--join', token, '--source', `directory:${source}`];
      expectRefusal(await run(agent(data, ...flags)), 2, 'HG2001', `directory:${source} ${words}`);
      expect(existsSync(data)).toBe(false);
    }
  });

  test.each(['--listen-http', '--listen-https', '--listen-gateway', '--listen-nodes', '--ops'])(
    'with the port of %s taken makes nothing and keeps its token',
    async (flag) => {
      using port = await takenPort();
      const data = unusedFolder();
      const refused = await run(agent(data, '--join', token, flag, port.address));
      expectRefusal(refused, 1, 'HG2002', port.address, 'the port is taken');
      expect(existsSync(data)).toBe(false);
    },
  );

  test.each([
    ['/nonexistent', 'HAProxy is not there: /nonexistent'],
    ['/bin/true', '/bin/true is not HAProxy'],
    ['no-such-haproxy', 'HAProxy is not there'],
  ])('whose HAProxy is %s', async (path, words) => {
    const data = unusedFolder();
    const refused = await run(agent(data, '--join', token, '--haproxy', path));
    expectRefusal(refused, 1, 'HG5001', words, 'install HAProxy');
    expect(existsSync(data)).toBe(false);
  });

  test('with a file where its folder should be', async () => {
    const refused = await run(agent(file, '--join', token));
    expectRefusal(refused, 1, 'HG2003', file);
    expect(readFileSync(file, 'utf8')).toBe('kept');
  });

  test.runIf(canMount)('with a folder that takes no writes and holds nothing', async () => {
    const flags = agent(empty, '--join', token);
    expectRefusal(await run(flags, { before: readOnly(empty) }), 1, 'HG2003', empty);
    expectRefusal(await run(flags, { before: sized(empty, '4k') }), 1, 'HG2003', empty);
    expect(readdirSync(empty)).toEqual([]);
  });

  test('without a token, or with one that will not do', async () => {
    const data = unusedFolder();
    const used = (await other.must(['cluster', 'add', 'eu', '-o', 'token'])).trim();
    const us = (await fleet.must(['cluster', 'add', 'us', '-o', 'token'])).trim();
    const own = readFileSync(token, 'utf8').trim();
    const tampered = own.replace(/^(hgjoin1\.[^.]+\.).{5}/, '$1AAAAA');
    const tokens: [text: string | undefined, exit: 1 | 2, code: string, words: string][] = [
      [undefined, 1, 'HG2005', 'no join token'],
      ['', 2, 'HG2004', 'missing or empty'],
      ['garbage', 2, 'HG2004', 'malformed'],
      [`${own}.x`, 2, 'HG2004', 'malformed'],
      ['\u001b[31mhgjoin1', 2, 'HG2004', 'malformed'],
      [us, 2, 'HG2004', 'is for the cluster agent of cluster us'],
      [used, 1, 'HG2005', 'does not show the root'],
      [tampered, 2, 'HG2004', 'not accepted'],
    ];
    let told = '';
    for (const [text, exit, code, words] of tokens) {
      const refused = await run(agent(data), text === undefined ? {} : { env: { HEADGATE_JOIN: text } });
      expectRefusal(refused, exit, code, words);
      for (const word of text?.split('.') ?? []) told += word.length > 40 && refused.stderr.includes(word) ? word : '';
      // The keys of an enrolment whose answer was not the hub's are kept for the hub's own.
      if (words === 'does not show the root') rmSync(join(data, 'identity', 'pending.json'));
      expectNothingMade(data);
    }
    expect(told).toBe('');
  });

  test('that has joined keeps its folder, its HAProxy and its token to itself', async () => {
    const joined = await fleet.addCluster('eu2');
    const [master = 0] = haproxyPids(joined.data);
    const log = readFileSync(join(fleet.data, 'logs', 'eu2.log'), 'utf8');
    const argv = readFileSync(`/proc/${joined.agent.pid}/cmdline`, 'utf8');
    expect(`${log}${argv}`).not.toContain('hgjoin1.');
    const eu2 = (data: string, ...flags: readonly string[]) => agent(data, '--cluster', 'eu2', ...flags);

    expectRefusal(await run(eu2(joined.data)), 1, 'HG2003', 'another agent uses this folder');
    expect([haproxyPids(joined.data)[0], isAlive(master), joined.agent.running]).toEqual([master, true, true]);
    expect(readFileSync(join(joined.data, 'agent.pid'), 'utf8').trim()).toBe(String(joined.agent.pid));

    const foreign = await run(agent(joined.data));
    expectRefusal(foreign, 1, 'HG2005', 'the identity of the agent of cluster eu2', 'a folder of its own');

    const used = join(root, 'used');
    writeFileSync(used, await fleet.must(['cluster', 'add', 'eu3', '-o', 'token']));
    const eu3 = (data: string) => agent(data, '--cluster', 'eu3', '--join', used, '--haproxy', 'haproxy');
    await using first = new AsyncDisposableStack();
    const data3 = unusedFolder();
    const started = await Program.start(eu3(data3), join(fleet.data, 'logs', 'eu3.log'));
    first.defer(async () => {
      await run(['agent', 'stop', '--data', data3]);
      await started.end();
    });
    const again = unusedFolder();
    expectRefusal(await run(eu3(again)), 2, 'HG2004', 'used already', 'headgate cluster add');
    expectNothingMade(again);
  });

  test('takes its token from HEADGATE_JOIN and hands it to nobody', async () => {
    const data = unusedFolder();
    const line = (await fleet.must(['cluster', 'add', 'env', '-o', 'token'])).trim();
    const log = join(fleet.data, 'logs', 'env.log');
    process.env['HEADGATE_JOIN'] = line;
    let started: Program;
    try {
      started = await Program.start(agent(data, '--cluster', 'env'), log);
    } finally {
      delete process.env['HEADGATE_JOIN'];
    }
    const haproxy = haproxyPids(data);
    expect(haproxy.length).toBeGreaterThan(1);
    for (const pid of haproxy) expect(readFileSync(`/proc/${pid}/environ`, 'utf8')).not.toContain('hgjoin1.');
    for (const pid of [started.pid, ...haproxy]) {
      expect(readFileSync(`/proc/${pid}/cmdline`, 'utf8')).not.toContain('hgjoin1.');
    }
    expect(readFileSync(log, 'utf8')).not.toContain('hgjoin1.');
    expect(readFileSync(join(fleet.data, 'logs', 'hub.log'), 'utf8')).not.toContain('hgjoin1.');
    const paths = readdirSync(data, { recursive: true, encoding: 'utf8' }).map((name) => join(data, name));
    const secret = line.split('.')[2] ?? '';
    expect(secret).toHaveLength(43);
    const files = paths.filter((path) => statSync(path).isFile());
    expect(files.filter((path) => readFileSync(path, 'latin1').includes(secret))).toEqual([]);
    expect((await run(['agent', 'stop', '--data', data])).code).toBe(0);
    await until(() => Promise.resolve(!started.running), 5_000);
    expect([started.running, haproxy.some(isAlive)]).toEqual([false, false]);
  });
});
