import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ingress, ingressClass, type KubeObject, type Rule, served, service, slice } from './objects.ts';
import { eventually, OneCluster } from './one-cluster.ts';

// What rules lead to: default backends, ports of Services, whose Ingress it is, and what is answered where
// nothing is there.

const PODS = ['a', 'b', 'c', 'd'];
const ONE = 'one.example';
const rule = (host: string | undefined, path: string, to: string): Rule => ({
  ...(host === undefined ? {} : { host }),
  paths: [{ path, to }],
});

let cluster: OneCluster;

beforeAll(async () => {
  cluster = await OneCluster.start(PODS, (pod) => ({
    services: PODS.flatMap((name) => served(name, pod(name))),
    classes: [ingressClass('headgate'), ingressClass('other', false, 'other.example/controller')],
    one: [ingress('one', { rules: [rule(ONE, '/a', 'a')] })],
    ports: [
      service('ports', { http: 80, admin: 8080 }),
      slice('ports', pod('a'), {}, 'http'),
      slice('ports', pod('b'), {}, 'admin'),
      service('both', { http: 80, admin: 8080 }),
      // One slice, one endpoint, two ports.
      {
        ...slice('both', pod('c')),
        ports: [
          { name: 'http', port: pod('c').port },
          { name: 'admin', port: pod('d').port },
        ],
      },
      ingress('ports', {
        rules: [
          {
            host: 'ports.example',
            paths: [
              { path: '/number', to: 'ports:80' },
              { path: '/name', to: 'ports:http' },
              { path: '/admin-number', to: 'ports:8080' },
              { path: '/admin-name', to: 'ports:admin' },
              { path: '/both-http', to: 'both:80' },
              { path: '/both-admin', to: 'both:admin' },
              { path: '/no-number', to: 'ports:81' },
              { path: '/no-name', to: 'ports:nothing' },
            ],
          },
        ],
      }),
    ],
  }));
  await cluster.serves(ONE, '/a', 'a');
  await cluster.serves('ports.example', '/name', 'a');
});

afterAll(async () => await cluster[Symbol.asyncDispose]());

test.each([
  ['/number', 'a'],
  ['/name', 'a'],
  ['/admin-number', 'b'],
  ['/admin-name', 'b'],
  ['/both-http', 'c'],
  ['/both-admin', 'd'],
  ['/no-number', 503],
  ['/no-name', 503],
])('ports by number and by name: %s', async (path, expected) => {
  expect(await cluster.who('ports.example', path)).toBe(expected);
});

describe('no route, no endpoint', () => {
  test('404 where no rule matches, in words that name nothing', async () => {
    for (const [host, path] of [
      ['nobody.example', '/'],
      [ONE, '/elsewhere'],
    ] as const) {
      const { status, body } = await cluster.get(host, path);
      expect([status, String(body)]).toEqual([404, 'no route\n']);
    }
  });

  test('503 while a Service is missing or has no endpoint, then what it has', async () => {
    cluster.write('late', ingress('late', { rules: [rule('late.example', '/', 'late')] }));
    await cluster.serves('late.example', '/', 503);
    expect(String((await cluster.get('late.example')).body)).toBe('no endpoint\n');
    expect(await cluster.events()).toContainEqual(
      expect.objectContaining({
        code: 'HG1003',
        kind: 'Ingress',
        name: 'late',
        message: 'Service shop/late is not there',
      }),
    );
    cluster.write('late-service', service('late'));
    await eventually('the problem is gone', async () => !(await cluster.events()).some(({ name }) => name === 'late'));
    expect(await cluster.who('late.example')).toBe(503);
    cluster.write('late-service', ...served('late', cluster.pod('c')));
    await cluster.serves('late.example', '/', 'c');
    cluster.write('late-service');
    await cluster.serves('late.example', '/', 503);
  });

  test('an Ingress whose protection is not honoured is closed, and only that is told', async () => {
    const annotations = { 'nginx.ingress.kubernetes.io/auth-url': 'http://auth.example' };
    cluster.write('closed', ingress('closed', { annotations, rules: [rule('closed.example', '/', 'a')] }));
    await cluster.serves('closed.example', '/', 503);
    const told = (await cluster.events()).filter(({ name }) => name === 'closed');
    expect(told.map(({ code }) => code)).toEqual(['HG1010']);
    cluster.write('closed', ingress('closed', { rules: [rule('closed.example', '/', 'a')] }));
    await cluster.serves('closed.example', '/', 'a');
  });
});

describe('several rules and Ingresses', () => {
  test('Ingresses of one namespace share a host; for one path the first keeps it', async () => {
    cluster.write(
      'two',
      ingress('two', { rules: [rule(ONE, '/b', 'b'), rule(ONE, '/b/c', 'c'), rule(ONE, '/a', 'd')] }),
    );
    await cluster.serves(ONE, '/b', 'b');
    expect(await cluster.who(ONE, '/b/c')).toBe('c');
    expect(await cluster.who(ONE, '/a')).toBe('a');
    await eventually('the conflict is told', async () =>
      (await cluster.events()).some(({ code, name }) => code === 'HG1005' && name === 'two'),
    );
    cluster.write('one');
    await cluster.serves(ONE, '/a', 'd');
    cluster.write('one', ingress('one', { rules: [rule(ONE, '/a', 'a')] }));
    cluster.write('two');
    await cluster.serves(ONE, '/a', 'a');
    expect(await cluster.who(ONE, '/b')).toBe(404);
  });

  test('a rule that changes its backend, path and host is followed', async () => {
    cluster.write('moving', ingress('moving', { rules: [rule('m1.example', '/', 'a')] }));
    await cluster.serves('m1.example', '/', 'a');
    cluster.write('moving', ingress('moving', { rules: [rule('m1.example', '/', 'b')] }));
    await cluster.serves('m1.example', '/', 'b');
    cluster.write('moving', ingress('moving', { rules: [rule('m1.example', '/x', 'b')] }));
    await cluster.serves('m1.example', '/', 404);
    expect(await cluster.who('m1.example', '/x')).toBe('b');
    cluster.write('moving', ingress('moving', { rules: [rule('m2.example', '/x', 'b')] }));
    await cluster.serves('m2.example', '/x', 'b');
    expect(await cluster.who('m1.example', '/x')).toBe(404);
    cluster.write('moving');
    await cluster.serves('m2.example', '/x', 404);
  });
});

describe('rules without a host and default backends', () => {
  test('take what no rule of a host took: first the rules, then the default backend', async () => {
    cluster.write(
      'default',
      ingress('default', {
        defaultBackend: 'd',
        rules: [rule(undefined, '/any', 'c'), { host: 'bare.example', paths: [] }],
      }),
    );
    await cluster.serves('nobody.example', '/', 'd');
    for (const [host, path, expected] of [
      ['nobody.example', '/any', 'c'],
      ['nobody.example', '/any/x', 'c'],
      ['nobody.example', '/anything', 'd'],
      [ONE, '/a', 'a'],
      [ONE, '/any', 'c'],
      [ONE, '/elsewhere', 'd'],
      // A rule without paths sends its host to the default backend of its own Ingress.
      ['bare.example', '/', 'd'],
      ['bare.example', '/any', 'd'],
      ['127.0.0.1', '/x', 'd'],
    ] as const) {
      expect([host, path, await cluster.who(host, path)]).toEqual([host, path, expected]);
    }
    // An Ingress that has nothing else.
    cluster.write('second', ingress('second', { defaultBackend: 'a' }));
    await eventually('the second default backend is told', async () =>
      (await cluster.events()).some(({ code, name }) => code === 'HG1005' && name === 'second'),
    );
    expect(await cluster.who('nobody.example')).toBe('d');
    cluster.write('default');
    await cluster.serves('nobody.example', '/', 'a');
    expect(await cluster.who('nobody.example', '/any')).toBe('a');
    cluster.write('second');
    await cluster.serves('nobody.example', '/', 404);
  });
});

function classed(host: string, className: string | null, annotations: Record<string, string> = {}): KubeObject {
  return ingress('classed', { className, annotations, rules: [rule(host, '/', 'a')] });
}

const old = (name: string) => ({ 'kubernetes.io/ingress.class': name });

/** The standing classes and one that is to change hands. */
function classes(controller: string): KubeObject[] {
  const other = ingressClass('other', false, 'other.example/controller');
  return [ingressClass('headgate'), other, ingressClass('passed-on', false, controller)];
}

describe('IngressClass', () => {
  test.each([
    ['ours by name', 'headgate', {}, 'a'],
    ['of another controller', 'other', {}, 404],
    ['a class that nobody has', 'nobody', {}, 404],
    ['no class, and none is the default', null, {}, 404],
    ['the old annotation', null, old('headgate'), 'a'],
    ['the old annotation for another', null, old('other'), 404],
    ['the old annotation goes before the field', 'headgate', old('other'), 404],
  ])('%s', async (what, className, annotations, expected) => {
    const host = `${what.replaceAll(/\W/g, '-')}.class.example`;
    cluster.write(
      'classed',
      classed(host, className, annotations),
      ingress('mark', { rules: [rule('mark.example', '/', 'a')] }),
    );
    // Both are in one file, and so in one report: when the mark is seen, so is what the class makes of the other.
    await cluster.serves('mark.example', '/', 'a');
    await cluster.serves(host, '/', expected);
    // What is ours is ours still.
    expect(await cluster.who(ONE, '/a')).toBe('a');
    cluster.write('classed');
    await cluster.serves('mark.example', '/', 404);
  });

  test('the default mark takes in Ingresses without a class, and lets them go', async () => {
    cluster.write('classed', classed('default.class.example', null));
    cluster.write('classes', ingressClass('headgate', true), ingressClass('other', false, 'other.example/controller'));
    await cluster.serves('default.class.example', '/', 'a');
    cluster.write('classes', ingressClass('headgate'), ingressClass('other', true, 'other.example/controller'));
    await cluster.serves('default.class.example', '/', 404);
    expect(await cluster.who(ONE, '/a')).toBe('a');
    cluster.write('classes', ingressClass('headgate'), ingressClass('other', false, 'other.example/controller'));
  });

  test('a class that changes hands takes its Ingresses along', async () => {
    cluster.write('classed', classed('hands.class.example', 'passed-on'));
    cluster.write('classes', ...classes('other.example/controller'));
    expect(await cluster.who('hands.class.example')).toBe(404);
    cluster.write('classes', ...classes('headgate.dev/ingress'));
    await cluster.serves('hands.class.example', '/', 'a');
    cluster.write('classes', ...classes('other.example/controller'));
    await cluster.serves('hands.class.example', '/', 404);
    expect(await cluster.who(ONE, '/a')).toBe('a');
  });
});

test('nothing of this needed a reload', async () => expect(await cluster.reloads()).toBe(0));
