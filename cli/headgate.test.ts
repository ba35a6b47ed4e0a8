import { type ChildProcess, type ChildProcessByStdio, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';

const program = join(import.meta.dirname, '..', 'bin', 'headgate');

interface Finished {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

async function headgate(...args: readonly string[]): Promise<Finished> {
  return await run(program, args);
}

async function run(file: string, args: readonly string[]): Promise<Finished> {
  return await new Promise((resolve) => {
    execFile(file, args, { timeout: 20_000 }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr });
    });
  });
}

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'headgate-cli-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

describe('usage', () => {
  test.each([
    [['hub', '--nope'], '--nope'],
    [['frobnicate'], 'frobnicate'],
    [[], 'a command is missing'],
    [['hub'], '--data is missing'],
    [['hub', '--data', '/nowhere', '--grpc', 'nonsense'], '--grpc'],
    [['store', 'epoch', '--data', '/nowhere'], '--new is missing'],
    [['hub', '--data', '/nowhere', '--store', 'etcd:http://127.0.0.1:1'], '--kek-file is missing'],
    [['hub', '--data', '/nowhere', '--store', 'etcd:127.0.0.1:1'], 'is not http://HOST:PORT'],
    [['hub', '--data', '/nowhere', '--store', 'consul:x'], '--store consul:x is unknown'],
    [['hub', '--data', '/nowhere', '--store-user', 'x'], '--store-user has no meaning for the embedded store'],
    [['hub', '--data', '/nowhere', '--store', 'etcd:http://127.0.0.1:1', '--store-user', 'x'], 'belong together'],
    [['agent', '--hub', '127.0.0.1:1', '--cluster', 'Bad_Name', '--data', '/nowhere'], '--cluster'],
    [['agent', '--hub', '127.0.0.1:1', '--cluster', 'eu', '--data', '/nowhere', '--source', 'consul'], '--source'],
    [['get'], 'kind'],
    [['get', 'routes', '-o', 'xml'], 'xml'],
    [['weights', 'shop.example', 'eu=x'], 'eu=x'],
    [['weights', 'shop.example', 'eu=0', 'us=0'], 'HG1009'],
    [['completion', 'tcsh'], 'tcsh'],
    [['demo', '--clusters', 'eu,eu'], '--clusters'],
  ])('%j is one line and exit 2', async (args, named) => {
    const { code, stdout, stderr } = await headgate(...args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(/^HG\d{4} [^\n]+\n$/);
    expect(stderr).toContain(named);
  });

  test('help and version go to standard output', async () => {
    const help = await headgate('--help');
    expect(help).toMatchObject({ code: 0, stderr: '' });
    for (const command of ['hub', 'agent', 'weights', 'explain', 'completion']) expect(help.stdout).toContain(command);
    expect((await headgate('--version')).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  });

  test('works through a symbolic link', async () => {
    const link = join(folder, 'linked');
    symlinkSync(program, link);
    expect((await run(link, ['--version'])).code).toBe(0);
  });

  test('a missing client configuration is one line, with -v its causes follow', async () => {
    const short = await headgate('--config', join(folder, 'none.yaml'), 'status');
    expect(short.code).toBe(1);
    expect(short.stderr.trimEnd().split('\n')).toHaveLength(1);
    const long = await headgate('-v', '--config', join(folder, 'none.yaml'), 'status');
    expect(long.stderr).toContain('caused by');
  });
});

test('the completions are scripts that their shells accept', async () => {
  const { stdout } = await headgate('completion', 'bash');
  const script = join(folder, 'complete.bash');
  writeFileSync(script, stdout);
  const asked = `. ${script}; COMP_WORDS=(headgate cluster a); COMP_CWORD=2; _headgate; echo "\${COMPREPLY[*]}"`;
  expect(await run('bash', ['-c', asked])).toEqual({ code: 0, stdout: 'add\n', stderr: '' });
  for (const shell of ['zsh', 'fish']) expect((await headgate('completion', shell)).stdout).toContain('uncordon');
});

interface Started {
  readonly child: ChildProcessByStdio<null, Readable, null>;
  readonly ready: Readonly<Record<string, string>>;
}

const anyPort = ['--grpc', '127.0.0.1:0', '--http', '127.0.0.1:0', '--ops', '127.0.0.1:0'];
const children: ChildProcess[] = [];

// A test that fails half way leaves no hub behind.
afterEach(() => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
});

async function startHub(data: string): Promise<Started> {
  const child = spawn(program, ['hub', '--data', data, ...anyPort], { stdio: ['ignore', 'pipe', 'ignore'] });
  children.push(child);
  const [line] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
  return { child, ready: JSON.parse(line) as Record<string, string> };
}

async function end({ child }: Started, signal: NodeJS.Signals): Promise<number | null> {
  const exited = once(child, 'exit');
  child.kill(signal);
  return ((await exited) as [number | null])[0];
}

describe('a hub of its own', () => {
  test('serves the commands, survives kill -9, ends cleanly', async () => {
    const data = join(folder, 'hub');
    const first = await startHub(data);
    expect(first.ready).toMatchObject({ msg: 'ready', component: 'hub' });
    const at = (...args: readonly string[]) => headgate('--config', join(data, 'admin.yaml'), ...args);
    expect((await at('cluster', 'add', 'eu', '-o', 'token', '--label', 'region=eu')).stdout).toMatch(/^\S+\n$/);
    const listed = JSON.parse((await at('get', 'clusters', '-o', 'json')).stdout) as object;
    expect(listed).toMatchObject({ items: [{ name: 'eu', connected: false, nodes: 0, labels: { region: 'eu' } }] });

    const file = join(folder, 'policy.yaml');
    const spec = 'spec: { targetRefs: [{ group: "", kind: Namespace, name: shop }], exposure: Everywhere }';
    writeFileSync(
      file,
      `apiVersion: headgate.dev/v1alpha1\nkind: TrafficPolicy\nmetadata: { name: shop, namespace: shop }\n${spec}\n`,
    );
    expect(await at('diff', '-f', file)).toMatchObject({ code: 1 });
    expect((await at('apply', '-f', file)).stdout).toMatch(/^TrafficPolicy shop\/shop created \(revision \d+\)\n$/);

    expect(await end(first, 'SIGKILL')).toBeNull();
    const second = await startHub(data);
    expect(await at('diff', '-f', file)).toEqual({ code: 0, stdout: '', stderr: '' });
    expect((await at('get', 'trafficpolicies', '-o', 'name')).stdout).toBe('policies/-/TrafficPolicy/shop/shop\n');
    // Not a terminal: columns by tab, without padding.
    expect((await at('get', 'policies', '-n', 'shop')).stdout.split('\n')[1]).toMatch(
      /^TrafficPolicy\tshop\tshop\thub/,
    );
    expect(await at('get', 'policies', 'nothing')).toMatchObject({ code: 1, stdout: '' });
    expect((await at('status')).stdout).toContain('Needs attention');
    expect(await at('describe', 'cluster', 'eu')).toMatchObject({ code: 0 });
    const wrong = join(folder, 'wrong.yaml');
    writeFileSync(
      wrong,
      'apiVersion: headgate.dev/v1alpha1\nkind: HostClaim\nmetadata: { name: x }\nspec: { hosts: 1 }\n',
    );
    expect(await at('diff', '-f', wrong)).toMatchObject({ code: 2 });
    const refused = await at('apply', '-f', wrong, '-f', file);
    expect(refused).toMatchObject({ code: 2, stdout: 'TrafficPolicy shop/shop unchanged\n' });
    expect(refused.stderr).toContain('wrong.yaml:4');
    expect(await at('delete', '-f', file)).toMatchObject({ code: 0 });
    expect(await at('cluster', 'remove', 'eu')).toMatchObject({ code: 0 });
    expect(await end(second, 'SIGTERM')).toBe(0);
    expect((await at('status')).stderr).toMatch(/^HG3001 /);
    const third = await startHub(data);
    expect(await end(third, 'SIGINT')).toBe(130);
  });

  test('a taken port and a data folder in use are one line and exit 1', async () => {
    const taken = createServer().listen(0, '127.0.0.1');
    await once(taken, 'listening');
    const { port } = taken.address() as { port: number };
    const data = join(folder, 'other');
    const busy = await headgate('hub', '--data', data, ...anyPort, '--grpc', `127.0.0.1:${port}`);
    taken.close();
    expect(busy).toMatchObject({ code: 1, stdout: '' });
    expect(lastLine(busy)).toMatch(/^HG2002 /);
    const running = await startHub(data);
    const second = await headgate('hub', '--data', data, ...anyPort);
    expect(second).toMatchObject({ code: 1, stdout: '' });
    expect(lastLine(second)).toMatch(/^HG2003 /);
    expect(await end(running, 'SIGTERM')).toBe(0);
  });

  test('takes flags and bearer tokens from its own configuration', async () => {
    const config = join(folder, 'hub.yaml');
    writeFileSync(config, 'tokens:\n- { name: x, role: boss, sha256: "" }\n');
    expect(await headgate('hub', '--data', join(folder, 'third'), '--config', config)).toMatchObject({ code: 2 });
    writeFileSync(config, 'colour: red\n');
    const unknown = await headgate('hub', '--data', join(folder, 'third'), '--config', config);
    expect(unknown).toMatchObject({ code: 2 });
    expect(unknown.stderr).toContain('colour');
  });
});

/** Logs come first on standard error, the error last. */
function lastLine({ stderr }: Finished): string {
  return stderr.trimEnd().split('\n').at(-1) ?? '';
}
