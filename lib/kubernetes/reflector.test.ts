import { mkdtempDisposable, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { systemClock } from '../clock.ts';
import type { HeadgateError } from '../errors.ts';
import { silentLog } from '../log.ts';
import { openKubernetesClient } from './kubernetes-client.ts';
import { Reflector, type ReflectorOptions } from './reflector.ts';
import { resources } from './resource.ts';
import {
  ended,
  hang,
  list,
  object,
  refuse,
  reset,
  ScriptedServer,
  watch,
  type Step,
} from './scripted-server.fixture.ts';

/** Back-off without waiting. */
const clock = { ...systemClock, random: () => 0 };

let stack: AsyncDisposableStack;
let folder: string;
let server: ScriptedServer;
let told: string[];
let troubles: (HeadgateError | undefined)[];
let changed: () => void;

beforeEach(async () => {
  stack = new AsyncDisposableStack();
  folder = stack.use(await mkdtempDisposable(join(tmpdir(), 'headgate-reflector-'))).path;
  server = stack.use(await ScriptedServer.start(folder));
  told = [];
  troubles = [];
  changed = () => undefined;
});
afterEach(async () => await stack.disposeAsync());

function tell(line: string): void {
  told.push(line);
  changed();
}

async function follow(options: Partial<ReflectorOptions>, ...steps: readonly Step[]): Promise<void> {
  server.next(...steps);
  const client = stack.use(await openKubernetesClient({ kubeconfig: server.kubeconfig, clock }));
  const reflected = {
    upsert: ({
      metadata,
    }: {
      readonly metadata: { readonly name: string; readonly resourceVersion?: string | undefined };
    }) => tell(`${metadata.name} ${metadata.resourceVersion}`),
    remove: ({ name }: { readonly name: string }) => tell(`-${name}`),
    synced: () => tell('synced'),
    trouble: (error: HeadgateError | undefined) => void troubles.push(error),
  };
  const reflector = new Reflector({
    client,
    resource: resources.services,
    reflected,
    clock,
    log: silentLog,
    ...options,
  });
  const stop = new AbortController();
  const running = reflector.run(stop.signal);
  stack.defer(async () => {
    stop.abort();
    await running;
  });
}

async function until(...lines: readonly string[]): Promise<void> {
  while (!lines.every((line) => told.includes(line))) {
    const { promise, resolve } = Promise.withResolvers<void>();
    changed = resolve;
    await promise;
  }
}

test('pages are listed to the last, then watched from the version of the list', async () => {
  await follow(
    {},
    list('7', [object('a', '1')], 'page2'),
    list('7', [object('b', '2')]),
    watch(['MODIFIED', object('a', '8')]),
  );
  await until('a 8');
  expect(told).toEqual(['a 1', 'b 2', 'synced', 'a 8']);
  expect(server.paths).toEqual(['list', 'list page2', 'watch 7']);
  expect(server.asked[0]?.url.searchParams.get('limit')).toBe('500');
});

test('a watch that ends, or breaks in the middle of a line, goes on from the last version, bookmarks included', async () => {
  const broken: Step = (stream) => {
    stream.respond({ ':status': 200 });
    stream.write(`${JSON.stringify({ type: 'ADDED', object: object('b', '10') })}\n{"type":"DELETED","object":{"met`);
    setImmediate(() => server.cut());
  };
  await follow(
    {},
    list('7', [object('a', '1')]),
    ended(watch(['BOOKMARK', { kind: 'Service', metadata: { resourceVersion: '9' } }])),
    broken,
    watch(['DELETED', object('a', '11')]),
  );
  await until('-a');
  expect(told).toEqual(['a 1', 'synced', 'b 10', '-a']);
  expect(server.paths).toEqual(['list', 'watch 7', 'watch 9', 'watch 10']);
});

test.each<[string, Step]>([
  ['410', refuse(410, 'Expired')],
  ['an ERROR with 410', watch(['ERROR', { kind: 'Status', code: 410, reason: 'Expired', message: 'too old' }])],
])('%s lists anew: what is missing then has gone, what is the same is not told again', async (_what, expired) => {
  await follow(
    {},
    list('7', [object('a', '1'), object('b', '2'), object('c', '3')]),
    expired,
    list('20', [object('a', '1'), object('b', '19')]),
    hang,
  );
  await until('-c');
  expect(told).toEqual(['a 1', 'b 2', 'c 3', 'synced', 'b 19', '-c', 'synced']);
});

test('a page whose list has expired lists anew, and what the first page held is not gone', async () => {
  await follow(
    {},
    list('7', [object('a', '1')], 'page2'),
    refuse(410, 'Expired'),
    list('8', [object('b', '2')], 'page2'),
    list('8', [object('a', '1')]),
    hang,
  );
  await until('synced');
  expect(told).toEqual(['a 1', 'b 2', 'synced']);
});

test.each<[string, Step]>([
  ['500', refuse(500, 'InternalError')],
  ['429', refuse(429, 'TooManyRequests', { 'retry-after': '0' })],
  ['a reset', reset],
  [
    'an answer that is no JSON',
    (stream): void => {
      stream.respond({ ':status': 200 });
      stream.end('<html>');
    },
  ],
])('%s while listing anew takes nothing away', async (_what, fault) => {
  await follow(
    {},
    list('7', [object('a', '1')]),
    refuse(410, 'Expired'),
    list('9', [], 'page2'),
    fault,
    list('10', [object('a', '1'), object('b', '10')]),
    hang,
  );
  await until('b 10');
  expect(told).toEqual(['a 1', 'synced', 'b 10', 'synced']);
});

test('Retry-After is waited for', async () => {
  const started = performance.now();
  await follow({}, refuse(429, 'TooManyRequests', { 'retry-after': '1' }), list('7', [object('a', '1')]), hang);
  await until('synced');
  expect(performance.now() - started).toBeGreaterThanOrEqual(990);
});

const renew: Step = (stream, asked) => {
  void writeFile(join(folder, 'token'), 'second\n').then(() => refuse(401, 'Unauthorized')(stream, asked));
};

test('a token that is not accepted is read anew; what stays refused is told once, with the rule that is missing', async () => {
  await follow({}, renew, refuse(403, 'Forbidden'), refuse(403, 'Forbidden'), list('7', [object('a', '1')]), hang);
  await until('synced');
  expect(server.asked.map(({ authorization }) => authorization).slice(0, 2)).toEqual(['Bearer first', 'Bearer second']);
  expect(troubles.map((error) => error?.code)).toEqual(['HG2006', undefined]);
  expect(troubles[0]?.remedy).toContain('apiGroups [""], resources ["services"], verbs ["list"]');
});

test('a watch that says nothing, not even a bookmark, is given up and everything listed anew', async () => {
  await follow({ idleMs: 100 }, list('7', [object('a', '1')]), watch(), list('3', [object('b', '2')]), hang);
  await until('-a');
  expect(told).toEqual(['a 1', 'synced', 'b 2', '-a', 'synced']);
});

test('an ERROR that does not pass lists anew in the end', async () => {
  const error = watch(['ERROR', { kind: 'Status', code: 500, message: 'no' }]);
  await follow({}, list('7', [object('a', '1')]), error, error, error, error, list('9', [object('a', '9')]), hang);
  await until('a 9');
  expect(server.paths.slice(0, 6)).toEqual(['list', 'watch 7', 'watch 7', 'watch 7', 'watch 7', 'list']);
});

test('an object that is none, and a handler that throws, stop nothing', async () => {
  await follow(
    {
      reflected: {
        upsert: ({ metadata: { name } }) => {
          if (name === 'bad') throw new Error('cannot');
          told.push(name);
          changed();
        },
        remove: () => undefined,
        synced: () => undefined,
      },
    },
    list('7', [object('bad', '1'), { spec: {} }, object('good', '2')]),
    watch(['ADDED', object('bad', '8')], ['ADDED', object('late', '9')]),
  );
  await until('late');
  expect(told).toEqual(['good', 'late']);
});

test('a kind that is not installed is empty, and comes alive when it is', async () => {
  const installed = Promise.withResolvers<void>();
  await follow(
    { untilServed: async () => await installed.promise },
    refuse(404, 'NotFound'),
    list('7', [object('a', '1')]),
    refuse(404, 'NotFound'),
  );
  await until('synced');
  installed.resolve();
  await until('a 1');
  expect(told).toEqual(['synced', 'a 1', 'synced']);
});
