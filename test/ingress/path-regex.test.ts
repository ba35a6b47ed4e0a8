import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Path, ingress, served } from './objects.ts';
import { eventually, OneCluster } from './one-cluster.ts';

// The annotation headgate.dev/path-regex, from the manifest to the request.

let cluster: OneCluster;

const api = (...paths: readonly Path[]) =>
  ingress('api', {
    rules: [{ host: 'api.example', paths }],
    annotations: { 'headgate.dev/path-regex': 'true' },
  });
const regex = (path: string, to: string): Path => ({ path, type: 'ImplementationSpecific', to });

beforeAll(async () => {
  cluster = await OneCluster.start(['a', 'b', 'c'], (pod) => ({
    pods: ['a', 'b', 'c'].flatMap((name) => served(name, pod(name))),
    api: [api({ path: '/', to: 'a' }, regex(String.raw`/v\d+/users/[^/]+`, 'b'))],
  }));
  await cluster.serves('api.example', '/', 'a');
}, 60_000);

afterAll(async () => await cluster[Symbol.asyncDispose]());

test('an expression takes what it matches as a whole, and the pod gets the path as it was sent', async () => {
  expect(await cluster.who('api.example', '/v12/users/me')).toBe('b');
  expect((await cluster.get('api.example', '//v12/./users/%6de?x=1')).echo).toMatchObject({
    pod: 'b',
    url: '//v12/./users/%6de?x=1',
  });
  expect(await cluster.who('api.example', '/v12/users/me/')).toBe('a');
  expect(await cluster.who('api.example', '/vx/users/me')).toBe('a');
});

test('explain tells the same', async () => {
  const answer = await cluster.fleet.must(['explain', 'http://api.example/v1/users/me', '--cluster', 'eu']);
  expect(answer).toContain('Regex api.example/v[0-9]+/users/[^/]+');
});

test('a refused expression is told by name, and the other paths change without a reload', async () => {
  const reloads = await cluster.reloads();
  cluster.write('api', api({ path: '/', to: 'a' }, regex('/(a+)+', 'b'), regex('/v[0-9]+/.*', 'c')));
  await cluster.serves('api.example', '/v12/users/me', 'c');
  await eventually('the refusal', async () =>
    (await cluster.events()).some(
      ({ code, name, message }) => code === 'HG1002' && name === 'api' && message.includes('without an upper limit'),
    ),
  );
  expect(await cluster.reloads()).toBe(reloads);
});
