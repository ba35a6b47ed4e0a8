import { spawn } from 'node:child_process';
import { hash } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse, stringify } from 'yaml';

import { testCa } from '../../agent/haproxy/testing/certificates.fixture.ts';
import { Folder, ingress, ingressClass, service } from '../../cli/demo/manifests.ts';
import { HEADGATE, Program, type Finished } from '../../cli/demo/processes.ts';
import { clientConfigSchema, type HubContext } from '../../lib/config/client-config.ts';
import { eventually } from '../fleet/fleet.fixture.ts';
import { AGENT_PORTS, HUB_PORTS, run } from './run.fixture.ts';

const KINDS = ['routes', 'hosts', 'ingresses', 'clusters', 'nodes', 'policies', 'certificates', 'events'];
const VIEWER = 'viewer-token-of-this-test';
const OPERATOR = 'operator-token-of-this-test';

let root: string;
let folder: Folder;
let hub: Program;
let agent: Program;
let admin: string;
let context: HubContext;
let policy: string;

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'hg-'));
  folder = new Folder(join(root, 'eu'));
  const config = join(root, 'hub.yaml');
  const tokens = [
    { name: 'eve', role: 'viewer', sha256: hash('sha256', VIEWER, 'hex') },
    { name: 'otto', role: 'operator', sha256: hash('sha256', OPERATOR, 'hex') },
  ];
  writeFileSync(config, stringify({ tokens }));
  hub = await Program.start(
    ['--config', config, 'hub', '--data', join(root, 'hub'), ...HUB_PORTS],
    join(root, 'hub.log'),
  );
  admin = join(root, 'hub', 'admin.yaml');
  const [first] = clientConfigSchema.parse(parse(readFileSync(admin, 'utf8'))).contexts;
  if (first === undefined) throw new Error('admin.yaml has no context');
  context = first;
  const token = join(root, 'token');
  writeFileSync(token, (await at('cluster', 'add', 'eu', '-o', 'token')).stdout);
  folder.write('class.yaml', ingressClass);
  for (const name of ['b', 'a', 'c'])
    folder.write(`${name}.yaml`, ingress('shop', name, `${name}.example`) + service('shop', name));
  const flags = ['--hub', String(hub.ready['grpc']), '--cluster', 'eu', '--source', `directory:${folder.path}`];
  const own = ['--data', join(root, 'agent'), '--join', token, ...AGENT_PORTS];
  agent = await Program.start(['agent', ...flags, ...own], join(root, 'agent.log'));
  policy = join(root, 'policy.yaml');
  writeFileSync(policy, policyText('Everywhere'));
  await eventually(
    async () => (await at('get', 'hosts', '-o', 'name')).stdout.split('\n').length === 4,
    () => 'the hosts do not reach the hub',
  );
});
afterAll(async () => {
  await run(['agent', 'stop', '--data', join(root, 'agent')]);
  await Promise.all([agent.end(), hub.end()]);
  rmSync(root, { recursive: true, force: true });
});

function policyText(exposure: string): string {
  const target = '{ group: "", kind: Namespace, name: shop }';
  return `apiVersion: headgate.dev/v1alpha1\nkind: TrafficPolicy\nmetadata: { name: shop, namespace: shop }\nspec: { targetRefs: [${target}], exposure: ${exposure} }\n`;
}

async function at(...args: readonly string[]): Promise<Finished> {
  return await run(['--config', admin, ...args]);
}

describe('exit codes', () => {
  test('0 for done, 1 for failed, 2 for bad input, each failure one line', async () => {
    expect(await at('get', 'hosts', 'a.example', '-o', 'name')).toEqual({
      code: 0,
      stdout: 'hosts/a.example\n',
      stderr: '',
    });
    for (const [args, code, error] of [
      [['get', 'hosts', 'none.example'], 1, 'HG2007'],
      [['get', 'gadgets'], 2, 'HG2001'],
      [['describe', 'cluster', 'mars'], 1, 'HG2007'],
      [['cordon', 'mars'], 1, 'HG2007'],
      [['cluster', 'remove', 'mars'], 1, 'HG2007'],
      [['cluster', 'add', 'Bad_Name'], 2, 'HG1002'],
      [['weights', 'none.example', 'eu=1'], 1, 'HG2007'],
      [['weights', 'a.example', 'mars=1'], 2, 'HG1008'],
      [['explain', 'not a url'], 2, 'HG2001'],
      [['explain', 'ftp://a.example/'], 2, 'HG2001'],
      [['guard', 'confirm', 'none'], 1, 'HG2007'],
      [['get', 'hosts', '-n', 'x', '-A'], 2, 'HG2001'],
    ] as const) {
      const stderr = expect.stringMatching(new RegExp(`^${error}[^\\n]*; [^\\n]+\\n$`)) as string;
      expect([args, await at(...args)]).toEqual([args, { code, stdout: '', stderr }]);
    }
  });

  test('an interrupted look ends by the signal, which a shell calls 130', async () => {
    const child = spawn(HEADGATE, ['--config', admin, 'get', 'hosts', '--watch'], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    const exited = once(child, 'exit');
    await once(child.stdout, 'data');
    child.kill('SIGINT');
    expect(await exited).toEqual([null, 'SIGINT']);
  });

  test('-v shows the chain of causes', async () => {
    const { code, stderr } = await run(['-v', '--config', join(root, 'none.yaml'), 'status']);
    expect([code, stderr]).toEqual([1, expect.stringMatching(/^HG\d{4} .+\n {2}caused by Error: ENOENT.+\n$/)]);
  });
});

describe('get', () => {
  test.each(['table', 'wide', 'json', 'yaml', 'name'])('-o %s says the same twice, but for ages', async (format) => {
    const ages = /("?age_s"?: )[\d.]+/g;
    for (const kind of format === 'json' ? KINDS : ['routes', 'nodes', 'certificates']) {
      const [one, two] = await Promise.all([at('get', kind, '-o', format), at('get', kind, '-o', format)]);
      expect(one).toMatchObject({ code: 0, stderr: '' });
      const still = ({ stdout }: Finished): string => stdout.replace(ages, '$10').replaceAll(/\t\d+s/g, '\tage');
      expect(still(one)).toBe(still(two));
      const read = {
        json: (text: string) => JSON.parse(text) as object,
        yaml: (text: string) => parse(text) as object,
      };
      const items = format === 'json' || format === 'yaml' ? read[format](one.stdout) : { items: [] };
      expect(items).toHaveProperty('items');
    }
  });

  test('sorts', async () => {
    expect((await at('get', 'ingresses', '-o', 'name')).stdout.trimEnd().split('\n')).toEqual([
      'ingresses/eu/shop/a',
      'ingresses/eu/shop/b',
      'ingresses/eu/shop/c',
    ]);
    expect((await at('get', 'hosts')).stdout.split('\n').map((line) => line.split('\t')[0])).toEqual([
      'NAME',
      'a.example',
      'b.example',
      'c.example',
      '',
    ]);
  });

  test('makes tables for a terminal alone, and no colour codes', async () => {
    const [piped = ''] = (await at('get', 'hosts')).stdout.split('\n');
    expect(piped).toContain('\t');
    const command = `'${HEADGATE}' --config '${admin}' get hosts`;
    const child = spawn('script', ['-qec', command, '/dev/null'], { stdio: ['ignore', 'pipe', 'inherit'] });
    const chunks: Buffer[] = [];
    child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
    expect(await once(child, 'close')).toEqual([0, null]);
    const shown = Buffer.concat(chunks).toString('utf8');
    expect(['\t', '\u001b'].filter((character) => shown.includes(character))).toEqual([]);
    const [titles = '', row = ''] = shown.split('\r\n');
    expect(titles).toMatch(/^NAME {2,}\S/);
    expect(row.indexOf('shop')).toBe(titles.indexOf('NAMESPACE'));
  });

  test('--watch prints what changes', async () => {
    const flags = ['--config', admin, 'get', 'hosts', '--watch', '-o', 'json'];
    const child = spawn(HEADGATE, flags, { stdio: ['ignore', 'pipe', 'inherit'] });
    const exited = once(child, 'exit');
    const names: string[] = [];
    createInterface({ input: child.stdout }).on('line', (line) =>
      names.push((JSON.parse(line) as { name: string }).name),
    );
    await eventually(
      () => Promise.resolve(names.length === 3),
      () => `at first: ${names.join(', ')}`,
    );
    folder.write('d.yaml', ingress('shop', 'd', 'd.example', 'a'));
    await eventually(
      () => Promise.resolve(names.includes('d.example')),
      () => `then: ${names.join(', ')}`,
    );
    expect(names).toEqual(['a.example', 'b.example', 'c.example', 'd.example']);
    child.kill('SIGTERM');
    await exited;
    folder.remove('d.yaml');
  });
});

test('diff exits with 0 for the same, 1 for a difference, 2 for an error', async () => {
  const differs = await at('diff', '-f', policy);
  expect(differs).toMatchObject({
    code: 1,
    stderr: '',
    stdout: expect.stringContaining('+  exposure: Everywhere') as string,
  });
  expect((await at('apply', '-f', policy)).code).toBe(0);
  expect(await at('diff', '-f', policy)).toEqual({ code: 0, stdout: '', stderr: '' });
  const wrong = join(root, 'wrong.yaml');
  writeFileSync(wrong, policyText('Sometimes'));
  expect(await at('diff', '-f', wrong)).toMatchObject({
    code: 2,
    stderr: expect.stringContaining('spec.exposure') as string,
  });
  expect((await at('delete', '-f', policy)).code).toBe(0);
});

test('completion is a script of its shell', async () => {
  const scripts: Record<string, string> = {};
  for (const shell of ['bash', 'zsh', 'fish']) {
    const { code, stdout, stderr } = await run(['completion', shell]);
    expect([code, stderr]).toEqual([0, '']);
    scripts[shell] = stdout;
  }
  const bash = spawn('bash', ['-n'], { stdio: ['pipe', 'inherit', 'inherit'] });
  bash.stdin.end(scripts['bash']);
  expect(await once(bash, 'exit')).toEqual([0, null]);
  expect(scripts['zsh']).toMatch(/^#compdef headgate\n/);
  expect(scripts['fish']).toContain('complete -c headgate');
});

describe('check', () => {
  test('is content with what runs', async () => {
    const { code, stdout } = await at('check');
    expect([code, stdout]).toEqual([0, expect.stringContaining('cluster eu is connected, 1 of 1 nodes ready')]);
    expect(JSON.parse((await at('check', '-o', 'json')).stdout)).toHaveProperty('items');
  });

  test('names a dead hub and a missing HAProxy with their remedies', async () => {
    const config = join(root, 'dead.yaml');
    const dead = { ...context, server: 'https://127.0.0.1:9' };
    writeFileSync(config, stringify({ current: context.name, contexts: [dead] }));
    const { code, stdout } = await run(['--config', config, 'check', '--haproxy', '/nonexistent']);
    expect(code).toBe(1);
    expect(stdout).toMatch(/^× HG5001 HAProxy is not there: \/nonexistent; install HAProxy/m);
    expect(stdout).toMatch(/^× HG3001 .*127\.0\.0\.1:9.*; .+/m);
  });
});

describe('the API', () => {
  interface Credential {
    readonly cert?: string | undefined;
    readonly key?: string | undefined;
    readonly token?: string;
  }

  async function call(
    { token, ...tls }: Credential,
    method = 'GET',
    path = '/v1/status',
    body?: string,
  ): Promise<[number, string]> {
    const options = {
      ...tls,
      method,
      ca: context.ca,
      checkServerIdentity: () => undefined,
      agent: false as const,
      headers: {
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
    };
    return await new Promise((resolve, reject) => {
      const outgoing = request(new URL(path, context.server), options, (answer) => {
        const chunks: Buffer[] = [];
        answer.on('data', (chunk: Buffer) => chunks.push(chunk));
        answer.on('end', () => {
          const { code = '' } = JSON.parse(Buffer.concat(chunks).toString('utf8')) as { code?: string };
          resolve([answer.statusCode ?? 0, code]);
        });
      });
      outgoing.on('error', reject);
      outgoing.end(body);
    });
  }

  test('knows nobody without a credential, nor by a foreign or an agent certificate, nor by a wrong token', async () => {
    const foreign = await (await testCa()).leaf('admin');
    const stored = JSON.parse(readFileSync(join(root, 'agent', 'identity', 'credentials.json'), 'utf8')) as {
      control: { certificate: string; privateKey: string };
    };
    const { certificate, privateKey } = stored.control;
    expect(await call({})).toEqual([401, 'HG2005']);
    expect(await call({ cert: foreign.certificate, key: foreign.key })).toEqual([401, 'HG2005']);
    expect(await call({ token: 'guessed' })).toEqual([401, 'HG2005']);
    const [status] = await call({ cert: certificate, key: privateKey });
    expect([401, 403]).toContain(status);
    expect(await call({ cert: context.certificate, key: context.key })).toEqual([200, '']);
  });

  test('lets roles do what is theirs and no more', async () => {
    const apply = JSON.stringify({ manifests: policyText('Everywhere') });
    const add = JSON.stringify({ name: 'us' });
    expect(await call({ token: VIEWER })).toEqual([200, '']);
    expect(await call({ token: VIEWER }, 'POST', '/v1/apply', apply)).toEqual([403, 'HG2006']);
    expect(await call({ token: OPERATOR }, 'POST', '/v1/apply', apply)).toEqual([200, '']);
    expect(await call({ token: OPERATOR }, 'POST', '/v1/clusters', add)).toEqual([403, 'HG2006']);
    expect(await call({ token: OPERATOR }, 'POST', '/v1/apply', '{')).toEqual([400, 'HG1001']);
    expect(await call({ token: OPERATOR }, 'PATCH', '/v1/status')).toEqual([404, 'HG2007']);
    const logged = readFileSync(join(root, 'hub.log'), 'utf8');
    expect(logged).not.toContain(VIEWER);
    expect(logged).not.toContain(OPERATOR);
  });
});
