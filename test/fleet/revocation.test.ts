import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';

import { fetchAnswer } from '../../agent/haproxy/testing/rig.fixture.ts';
import { freeAddress } from '../../cli/demo/ports.ts';
import { headgate, Program } from '../../cli/demo/processes.ts';
import { generateKeyPairSync, X509Certificate } from 'node:crypto';
import { HeadgateError } from '../../lib/errors.ts';
import type { TlsCredentials } from '../../lib/identity/tls-credentials.ts';
import { dialRpc } from '../../lib/rpc/index.ts';
import { eventually, TestFleet } from './fleet.fixture.ts';

const ANY = '127.0.0.1:0';
/** What promise 24 allows, milliseconds. */
const REACH = 5_000;

let fleet: TestFleet;
/** Where the cluster agent of us serves its nodes. */
let nodes = '';
const parts = new Map<string, Program>();

beforeAll(async () => {
  fleet = await TestFleet.start(['eu'], 1, ['us']);
  nodes = await freeAddress();
  await addToken('us', 'cluster');
  await startCluster();
  for (const node of ['n1', 'n2']) {
    const listeners: string[] = [];
    for (const name of ['http', 'https', 'gateway']) listeners.push(`--listen-${name}`, await freeAddress());
    await addToken(node, 'node');
    await start(node, 'node', ['--hub', nodes, '--node', node, ...listeners]);
  }
});
afterAll(async () => {
  for (const [name, program] of parts) {
    await headgate(['agent', 'stop', '--data', dataOf(name)]);
    await program.end();
  }
  await fleet?.[Symbol.asyncDispose]();
});

function dataOf(name: string): string {
  return join(fleet.fleet.data, 'agents', name);
}

function tokenOf(name: string): string {
  return join(fleet.fleet.data, `${name}.join`);
}

async function addToken(name: string, role: 'cluster' | 'node'): Promise<void> {
  const token = await fleet.fleet.must(['cluster', 'add', 'us', '--role', role, '-o', 'token']);
  writeFileSync(tokenOf(name), token, { mode: 0o600 });
}

async function start(name: string, role: 'cluster' | 'node', flags: readonly string[]): Promise<void> {
  const own = ['--roles', role, '--data', dataOf(name), '--ops', ANY, '--join', tokenOf(name)];
  const log = join(fleet.fleet.data, 'logs', `${name}.log`);
  parts.set(name, await Program.start(['agent', '--cluster', 'us', ...own, ...flags], log));
}

async function startCluster(): Promise<void> {
  const hub = String(fleet.fleet.hub.ready['grpc']);
  const source = `directory:${fleet.fleet.folder('us').path}`;
  await start('us', 'cluster', ['--hub', hub, '--source', source, '--listen-nodes', nodes]);
}

function credentialsOf(name: string, link: 'control' | 'gateway'): TlsCredentials {
  const text = readFileSync(join(dataOf(name), 'identity', 'credentials.json'), 'utf8');
  return (JSON.parse(text) as Record<typeof link, TlsCredentials>)[link];
}

interface Live extends Disposable {
  /** Resolves when the other end has said something. */
  readonly opened: Promise<void>;
  /** Resolves when the other end closes it. */
  readonly closed: Promise<HeadgateError>;
}

/** A Report stream with an agent's certificate. */
function live(address: string, name: string): Live {
  const connection = dialRpc({ address, tls: credentialsOf(name, 'control'), expect: () => true });
  const opened = Promise.withResolvers<void>();
  const ended = async (): Promise<HeadgateError> => {
    try {
      for await (const frame of connection.report().frames) if (frame !== undefined) opened.resolve();
    } catch (error) {
      return HeadgateError.from(error);
    }
    return new HeadgateError('HG3001', 'ended in order');
  };
  return { opened: opened.promise, closed: ended(), [Symbol.dispose]: () => connection.close() };
}

/** Milliseconds that a live stream outlives a command; a new one is then refused. */
async function outlived(address: string, name: string, command: readonly string[]): Promise<number> {
  using stream = live(address, name);
  await stream.opened;
  const started = performance.now();
  await fleet.fleet.must(command);
  await stream.closed;
  const elapsed = performance.now() - started;
  await expectRefused(address, name);
  return elapsed;
}

async function expectRefused(address: string, name: string): Promise<void> {
  using stream = live(address, name);
  const { code } = await stream.closed;
  expect({ name, code }).toEqual({ name, code: expect.stringMatching(/^HG(2005|2006|3001)$/) });
}

test('a pinned issuer is shown where the cluster is, and what the agent needs is printed', async () => {
  const { publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const jwks = join(fleet.fleet.data, 'ap.jwks');
  writeFileSync(jwks, JSON.stringify({ keys: [publicKey.export({ format: 'jwk' })] }));
  const pin = ['cluster', 'add', 'ap', '--issuer', 'https://ap.test', '--jwks', jwks];
  const printed = await fleet.fleet.must(pin);
  expect(printed).toMatch(/^--hub-spki [A-Za-z0-9_-]{43}\n$/);
  expect(await fleet.fleet.must(pin)).toBe(printed);
  const enrolments = (await fleet.list('clusters')).map(({ name, enrolment }) => [name, enrolment]);
  expect(enrolments).toEqual([
    ['ap', 'ServiceAccount headgate/headgate-cluster-agent of https://ap.test'],
    ['eu', 'join token'],
    ['us', 'join token'],
  ]);
  expect(await fleet.fleet.must(['describe', 'cluster', 'ap'])).toContain('https://ap.test');
  await fleet.fleet.must(['cluster', 'remove', 'ap']);
});

test('promise-24 a revoked node and a revoked certificate are cut off by their cluster agent', async () => {
  const address = nodes;
  const node = await outlived(address, 'n1', ['cluster', 'revoke', 'us', '--node', 'n1']);
  const { serialNumber } = new X509Certificate(credentialsOf('n2', 'control').certificate);
  const serial = await outlived(address, 'n2', ['cluster', 'revoke', 'us', '--serial', serialNumber]);
  process.stdout.write(`promise-24 closed after: node ${node.toFixed(0)} ms, serial ${serial.toFixed(0)} ms\n`);
  expect(Math.max(node, serial)).toBeLessThan(REACH);

  await fleet.fleet.hub.end('SIGKILL');
  await parts.get('us')?.end('SIGKILL');
  await startCluster();
  for (const name of ['n1', 'n2']) await expectRefused(address, name);
  await fleet.fleet.restartHub();
  expect(await fleet.fleet.must(['cluster', 'readmit', 'us', '--node', 'n1'])).toContain('may enrol again');
});

test('promise-24 a removed cluster is cut off, its gateways by the HAProxies of the others', async () => {
  const port = Number(fleet.cluster('eu').gateway.split(':')[1]);
  const { certificate, privateKey } = credentialsOf('us', 'gateway');
  const ask = async () =>
    (await fetchAnswer({ port, tls: true, path: '/', cert: certificate, key: privateKey })).status;
  await eventually(
    async () => (await ask()) === 503,
    () => 'eu does not know the gateways of us',
  );
  const hub = String(fleet.fleet.hub.ready['grpc']);
  const started = performance.now();
  const elapsed = await outlived(hub, 'us', ['cluster', 'remove', 'us']);
  await eventually(
    async () => (await ask()) === 403,
    () => 'eu still takes requests from the gateways of us',
    REACH,
  );
  const gateway = performance.now() - started;
  process.stdout.write(
    `promise-24 closed after: cluster ${elapsed.toFixed(0)} ms, gateways ${gateway.toFixed(0)} ms\n`,
  );
  expect(elapsed).toBeLessThan(REACH);
});
