import { afterAll, beforeAll, expect, test } from 'vitest';

import { type Ask, Client, type Reply } from './client.ts';
import { eventually, TestFleet, trafficPolicy } from './fleet.fixture.ts';
import { LATE_MS, LATE_PATH } from './pods.ts';

const HOST = 'shop.example';
const FIELDS =
  'timeouts: { response: 1s }, retries: { attempts: 0 }, balance: { algorithm: Hash, hash: { header: X-User } }';

let fleet: TestFleet;
beforeAll(async () => {
  fleet = await TestFleet.start(['eu', 'us'], 3);
  fleet.writeAll({ namespace: 'shop', host: HOST }, { eu: 3 });
  fleet.writeAll({ namespace: 'other', host: 'other.example' }, { eu: 3 });
  await fleet.expectShares('eu', HOST, { eu: 1 }, 20);
});
afterAll(async () => await fleet?.[Symbol.asyncDispose]());

/** Over a connection of its own: one that a reload's old worker keeps is served once more as it was. */
async function askAnew(ask: Omit<Ask, 'entry'>): Promise<Reply> {
  const client = new Client();
  const reply = await client.ask({ entry: fleet.entry('eu'), ...ask });
  client.close();
  return reply;
}

interface Late {
  readonly status: number | undefined;
  readonly ms: number;
}

async function askLate(host: string): Promise<Late> {
  const started = performance.now();
  const { status } = await askAnew({ host, path: LATE_PATH });
  return { status, ms: performance.now() - started };
}

async function podsFor(user: string): Promise<Set<string>> {
  const asked = Array.from({ length: 10 }, async () => await askAnew({ host: HOST, headers: { 'x-user': user } }));
  return new Set((await Promise.all(asked)).map(({ pod, status }) => pod?.pod ?? `status ${status}`));
}

test('timeouts and balance go live through apply, and off again by delete', async () => {
  expect(await askLate(HOST)).toMatchObject({ status: 200 });
  const policy = trafficPolicy('shop', `${FIELDS}, healthCheck: { type: HTTP, path: /healthz, interval: 200ms }`);
  await fleet.apply(policy);
  let late: Late | undefined;
  await eventually(
    async () => (late = await askLate(HOST)).status === 504,
    () => `${LATE_PATH} answers ${late?.status} after ${late?.ms.toFixed(0)} ms`,
  );
  expect(late?.ms).toBeGreaterThan(900);
  expect(late?.ms).toBeLessThan(LATE_MS);
  expect(await askLate('other.example'), 'of another host').toMatchObject({ status: 200 });

  const users = Array.from({ length: 10 }, (_, i) => `user-${i}`);
  const pods = await Promise.all(users.map(podsFor));
  expect(pods.map(({ size }) => size)).toEqual(users.map(() => 1));
  expect(new Set(pods.flatMap((one) => [...one])).size).toBeGreaterThan(1);

  const { fields } = await fleet.explain('eu', `http://${HOST}/`);
  expect(fields.filter(({ winner }) => winner !== 'default').map(({ field }) => field)).toEqual([
    'timeouts',
    'retries',
    'balance',
    'healthCheck',
  ]);
  const described = await fleet.fleet.must(['describe', 'policy', 'app', '-n', 'shop']);
  expect(described).toContain('{"response":1000}');

  await fleet.fleet.must(['delete', '-f', '-'], policy);
  await eventually(
    async () => (await askLate(HOST)).status === 200,
    () => 'the response timeout stayed',
  );
});

test('a health check that no endpoint passes takes all out, and its end brings them back', async () => {
  const policy = trafficPolicy(
    'shop',
    'healthCheck: { type: HTTP, path: /healthz, interval: 100ms, fall: 1, status: { from: 204, to: 204 } }',
  );
  await fleet.apply(policy);
  await eventually(
    async () => (await fleet.ask('eu', HOST)).status === 503,
    () => 'endpoints that fail their checks serve',
  );
  await fleet.fleet.must(['delete', '-f', '-'], policy);
  await fleet.expectShares('eu', HOST, { eu: 1 }, 20);
});

test('a policy that is wrong is refused by field and changes nothing', async () => {
  const { code, stderr, stdout } = await fleet.fleet.run(
    ['apply', '-f', '-'],
    trafficPolicy('shop', 'timeouts: { connect: 80s }, balance: { algorithm: Hash }'),
  );
  expect(code).toBe(2);
  expect(stderr + stdout).toContain('spec.timeouts.connect: must be at least 1ms and at most 75s');
  expect(stderr + stdout).toContain('spec.balance.hash: is missing');
  fleet.fleet.folder('us').write('policy.yaml', trafficPolicy('shop', 'healthCheck: { type: HTTP, path: "/a b" }'));
  await eventually(
    async () =>
      (await fleet.list('events')).some(
        ({ cluster, code: found, field }) =>
          cluster === 'us' && found === 'HG1002' && field === 'spec.healthCheck.path',
      ),
    () => 'the bad policy in the folder of us is not reported by its field',
  );
  expect((await fleet.list('policies')).filter(({ namespace }) => namespace === 'shop')).toMatchObject([
    { cluster: 'us', accepted: false, reason: 'Invalid', field: 'spec.healthCheck.path', revision: null },
  ]);
});
