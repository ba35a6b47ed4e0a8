import { type ClientRequest, request } from 'node:http';
import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Conditions, ingress, type KubeObject, served, service, slice } from './objects.ts';
import { eventually, OneCluster } from './one-cluster.ts';

// EndpointSlices: which endpoints serve, and how they come and go.

const HOSTS = ['pick', 'many', 'six', 'move', 'drain', 'crash', 'two-ports'];
const PODS = ['a', 'b', 'c', 'crash-1', 'crash-2'];

let cluster: OneCluster;

beforeAll(async () => {
  cluster = await OneCluster.start(PODS, (pod) => ({
    services: HOSTS.map((name) => service(name)),
    ingress: [
      ingress('all', {
        rules: HOSTS.map((name) => ({ host: `${name}.example`, paths: [{ path: '/', to: name }] })),
      }),
    ],
    mark: [
      ...served('mark', pod('a')),
      ingress('mark', { rules: [{ host: 'mark.example', paths: [{ path: '/', to: 'mark' }] }] }),
    ],
    crash: [slice('crash', pod('crash-1')), slice('crash', pod('crash-2'))],
  }));
  await cluster.serves('mark.example', '/', 'a');
  await servedBy('crash', ['crash-1', 'crash-2']);
});

afterAll(async () => await cluster[Symbol.asyncDispose]());

/** Polls until these pods, all and alone, answer a row of requests; none: 503. */
async function servedBy(name: string, pods: readonly string[]): Promise<void> {
  const expected = pods.length === 0 ? ['503'] : [...pods].sort();
  let seen: unknown;
  const check = async (): Promise<boolean> => {
    const answers = new Set<string | number>();
    for (let i = 0; i < 8; i++) answers.add(await cluster.who(`${name}.example`));
    seen = [...answers].map(String).sort();
    return JSON.stringify(seen) === JSON.stringify(expected);
  };
  await eventually(`${name} served by ${expected.join()}`, check).catch((error: unknown) => {
    throw new Error(`${name} is served by ${JSON.stringify(seen)}`, { cause: error });
  });
}

/** A file with one slice per pod of the service `name`. */
function write(name: string, pods: Readonly<Record<string, Conditions>>, port?: string): void {
  const slices = Object.entries(pods).map(([pod, conditions]): KubeObject =>
    slice(name, cluster.pod(pod), conditions, port),
  );
  cluster.write(name, ...slices);
}

/** A request whose body is written by and by. */
function post(name: string, path: string): ClientRequest {
  const headers = { host: `${name}.example` };
  return request({ host: '127.0.0.1', port: cluster.http, method: 'POST', path, headers });
}

const READY: Conditions = { ready: true };

describe('conditions', () => {
  test.each([
    ['ready', READY, ['a']],
    ['not ready', { ready: false }, []],
    ['unknown is ready', {}, ['a']],
    ['ready although not serving is said', { ready: true, serving: false }, ['a']],
    ['serving but not ready', { ready: false, serving: true }, []],
    ['terminating and not serving', { ready: false, serving: false, terminating: true }, []],
    // Only where nothing is ready, as kube-proxy does.
    ['terminating and serving, alone', { ready: false, serving: true, terminating: true }, ['a']],
  ])('%s', async (_what, conditions, expected) => {
    write('pick', { a: conditions });
    await servedBy('pick', expected);
    write('pick', { a: conditions, b: READY });
    const readyOne = conditions.ready ?? true;
    await servedBy('pick', readyOne ? ['a', 'b'] : ['b']);
    cluster.write('pick');
    await servedBy('pick', []);
    expect(String((await cluster.get('pick.example')).body)).toBe('no endpoint\n');
  });
});

test('several slices make one Service, and an endpoint in two of them counts once', async () => {
  write('many', { a: READY, b: READY, c: READY });
  await servedBy('many', ['a', 'b', 'c']);
  const twice = {
    ...slice('many', cluster.pod('a')),
    metadata: { name: 'many-again', namespace: 'shop', labels: { 'kubernetes.io/service-name': 'many' } },
  };
  cluster.write('many', twice, slice('many', cluster.pod('a')), slice('many', cluster.pod('b')));
  await servedBy('many', ['a', 'b']);
  cluster.write('many', twice);
  await servedBy('many', ['a']);
  const { status, body } = await cluster.get('many.example', '/');
  expect([status, body.length > 0]).toEqual([200, true]);
});

test('an IPv6 endpoint serves, beside an IPv4 one', async () => {
  await cluster.addPod('six', '::1');
  write('six', { six: READY });
  await servedBy('six', ['six']);
  write('six', { six: READY, b: READY });
  await servedBy('six', ['b', 'six']);
  write('six', { six: READY });
  await servedBy('six', ['six']);
  expect((await cluster.get('six.example')).echo?.headers['x-forwarded-for']).toBe('127.0.0.1');
});

test('endpoints that change under traffic cost no request', async () => {
  write('move', { a: READY });
  await servedBy('move', ['a']);
  const answers: (string | number)[] = [];
  const stop = new AbortController();
  const load = (async () => {
    while (!stop.signal.aborted) answers.push(await cluster.who('move.example'));
  })();
  for (const pods of [['b'], ['b', 'c'], ['c'], ['a', 'b', 'c'], ['a']]) {
    write('move', Object.fromEntries(pods.map((pod) => [pod, READY])));
    await servedBy('move', pods);
  }
  stop.abort();
  await load;
  expect(answers.length).toBeGreaterThan(20);
  expect(answers.filter((answer) => typeof answer === 'number')).toEqual([]);
});

test('an endpoint that terminates finishes what it has and gets nothing new', async () => {
  write('drain', { a: READY });
  await servedBy('drain', ['a']);
  const upload = post('drain', '/upload');
  const answered = once(upload, 'response') as Promise<[NodeJS.ReadableStream & { statusCode: number }]>;
  upload.write('first ');
  await eventually('the upload has begun', () => Promise.resolve(cluster.pod('a').busy('/upload') === 1));
  write('drain', { a: { ready: false, serving: true, terminating: true }, b: READY });
  await servedBy('drain', ['b']);
  upload.end('second');
  const [response] = await answered;
  let body = '';
  for await (const chunk of response) body += String(chunk);
  expect(response.statusCode).toBe(200);
  expect(JSON.parse(body)).toMatchObject({ pod: 'a', received: 12 });
  write('drain', { b: READY });
  await servedBy('drain', ['b']);
});

test('a pod that dies is skipped at request time: no client sees it', async () => {
  await servedBy('crash', ['crash-1', 'crash-2']);
  await cluster.pod('crash-1').kill();
  // Its endpoint is still there: only HAProxy's own look at the connection tells.
  const answers = await Promise.all(Array.from({ length: 40 }, async () => await cluster.who('crash.example')));
  for (let i = 0; i < 60; i++) answers.push(await cluster.who('crash.example'));
  expect(new Set(answers)).toEqual(new Set(['crash-2']));
});

test('a pod that dies with requests in flight costs those and no other', async () => {
  await cluster.addPod('fragile');
  write('pick', { fragile: READY, b: READY });
  await servedBy('pick', ['b', 'fragile']);
  const inFlight = Array.from({ length: 4 }, (_, i) => {
    const path = `/half/${i}`;
    const call = post('pick', path);
    // On a connection to the pod that served before, HAProxy closes without an answer, so that the client may retry.
    const ended = new Promise<number | 'closed'>((resolve) => {
      call.once('response', (response) => resolve(response.resume().statusCode ?? 0));
      call.once('error', () => resolve('closed'));
    });
    call.write('half ');
    return { path, call, ended };
  });
  // Each is at one of the two before one dies; with threads of their own turns, not always two at each.
  const holders = (path: string) => ['fragile', 'b'].filter((pod) => cluster.pod(pod).busy(path) === 1);
  await eventually('requests in flight', () =>
    Promise.resolve(inFlight.every(({ path }) => holders(path).length === 1)),
  );
  const lost = new Set(inFlight.map(({ path }) => path).filter((path) => holders(path)[0] === 'fragile'));
  expect(lost.size).toBeGreaterThan(0);
  await cluster.pod('fragile').kill();
  const after: (string | number)[] = [];
  for (let i = 0; i < 60; i++) after.push(await cluster.who('pick.example'));
  expect(new Set(after)).toEqual(new Set(['b']));
  for (const { path, call, ended } of inFlight) {
    call.end('rest');
    // Part of its body was sent, so it is never tried on another pod.
    expect(lost.has(path) ? [502, 'closed'] : [200]).toContain(await ended);
  }
});

test('nothing of this needed a reload', async () => expect(await cluster.reloads()).toBe(0));
