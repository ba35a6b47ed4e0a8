import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { Load } from '../../cli/demo/load.ts';
import { service } from '../../cli/demo/manifests.ts';
import type { ApplyResult, EventItem } from '../../hub/api/types.ts';
import { eventually, TestFleet } from '../fleet/fleet.fixture.ts';
import { badManifests, EVIL, type BadManifest } from './bad-manifests.fixture.ts';

/** Requests a second over two entries: enough to feel any harm, little enough for a busy machine. */
const RATE = 100;
const GOOD = { namespace: 'good', host: 'good.example' };
// oxlint-disable-next-line no-control-regex -- control characters are what this looks for
const RAW = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e\u2066-\u2069]/;

let here: TestFleet;
let load: Load;
let first: string;
let bad: readonly BadManifest[];
beforeAll(async () => {
  ({ first, bad } = await badManifests());
  here = await TestFleet.start(['eu', 'us'], 1);
  here.writeAll(GOOD, { eu: 1, us: 1 });
  const folder = here.fleet.folder('eu');
  folder.write('web.yaml', service('bad', 'web'));
  folder.write('first.yaml', first);
  await Promise.all([here.expectStatus('eu', GOOD.host, 200), here.expectStatus('us', GOOD.host, 200)]);
  await here.expectStatus('eu', 'claim.bad.example', 503);
  load = new Load(here.fleet.entries(), [GOOD.host], RATE);
});
afterAll(async () => {
  await load.stop();
  await here[Symbol.asyncDispose]();
});

async function events(): Promise<readonly EventItem[]> {
  return (await here.list('events')) as unknown as EventItem[];
}

function objectOf({ kind, namespace, name }: Pick<EventItem, 'kind' | 'namespace' | 'name'>): string {
  return namespace === '' ? `${kind} ${name}` : `${kind} ${namespace}/${name}`;
}

function isAbout(event: EventItem, { code, object, field }: BadManifest): boolean {
  return event.code === code && objectOf(event) === object && event.field === field;
}

function log(name: string): string {
  return readFileSync(join(here.fleet.data, 'logs', `${name}.log`), 'utf8');
}

describe('every mistake at once in a cluster', () => {
  test('is named with code, object, field, place and remedy', { timeout: 60_000 }, async () => {
    for (const { file, text } of bad) here.fleet.folder('eu').write(file, text);
    let seen: readonly EventItem[] = [];
    const missing = () => bad.filter((one) => !seen.some((event) => isAbout(event, one))).map(({ title }) => title);
    await eventually(
      async () => {
        seen = await events();
        return missing().length === 0;
      },
      () => `not told of: ${missing().join(', ')}`,
    );
    const told = bad.map((one) => seen.filter((event) => isAbout(event, one)));
    expect(told).toMatchObject(
      bad.map(({ line, file, message }) => [
        {
          cluster: 'eu',
          message: expect.stringContaining(message) as string,
          remedy: expect.stringMatching(/^\S.{10,}/) as string,
          place: line === undefined ? '' : `${file}:${line}`,
        },
      ]),
    );
    expect(seen.filter((event) => !bad.some((one) => objectOf(event) === one.object))).toEqual([]);
  });

  test('is seen in status and describe, one line each', async () => {
    const status = await here.fleet.must(['status']);
    const { attention_total: total } = JSON.parse(await here.fleet.must(['status', '-o', 'json'])) as {
      attention_total: number;
    };
    expect(total).toBeGreaterThanOrEqual(bad.length);
    const lines = status.split('\n');
    expect(lines.filter((line) => /^ {2}HG\d{4} eu: \S+ \S+.*; .+/.test(line)).length).toBeGreaterThanOrEqual(20);
    expect(status).not.toMatch(RAW);
    for (const [kind, name, code] of [
      ['ingress', 'bad/rival', 'HG1006'],
      ['ingress', 'bad/wrong-type', 'HG1002'],
      ['ingress', 'bad/second-claim', 'HG1005'],
      ['trafficpolicy', 'bad/mars', 'HG1008'],
      ['policy', 'bad/zero', 'HG1009'],
      ['policy', 'bad/later', 'HG1002'],
      ['certificate', 'bad/pair', 'HG1004'],
    ] as const) {
      expect(await here.fleet.must(['describe', kind, name])).toContain(code);
    }
    const cluster = await here.fleet.must(['describe', 'cluster', 'eu']);
    for (const { object } of bad) expect(cluster).toContain(object);
  });

  test('is in the log of the agent or stands at the hub, and nowhere raw', async () => {
    const lines = log('eu')
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    const untold = bad.filter(
      ({ code, object, line, file, message }) =>
        line !== undefined &&
        !lines.some(
          (each) =>
            each['object'] === object &&
            each['code'] === code &&
            each['place'] === `${file}:${line}` &&
            String(each['msg']).includes(message),
        ),
    );
    expect(untold.map(({ title }) => title)).toEqual([]);
    const outputs = [log('eu'), log('hub'), log('us')];
    for (const format of ['table', 'wide', 'json', 'yaml', 'name']) {
      outputs.push(await here.fleet.must(['get', 'events', '-A', '-o', format]));
    }
    outputs.push(await here.fleet.must(['describe', 'cluster', 'eu']));
    for (const output of outputs) {
      expect(output).not.toMatch(RAW);
      expect(output).not.toMatch(/^HG0000 forged/m);
      expect(output).not.toContain('PRIVATE KEY');
    }
  });

  test('harms nothing: the rival and the second claim get no traffic, the healthy host fails nothing', async () => {
    expect((await here.ask('eu', GOOD.host)).pod?.cluster).toBe('eu');
    const explained = await here.explain('eu', `http://${GOOD.host}/`);
    expect(explained.route?.owner).toBe('good');
    expect((await here.ask('eu', 'protection.bad.example')).status).toBe(503);
    here.write('us', { namespace: 'late', host: 'late.example' });
    await here.expectStatus('us', 'late.example', 200);
    here.remove('us', { namespace: 'late' });
    expect(load.failures).toEqual([]);
  });

  test('a file that breaks keeps what its objects were, across a restart of the agent too', async () => {
    const folder = here.fleet.folder('us');
    folder.write('good-app.yaml', 'kind: Ingress\nmetadata: {');
    await eventually(
      async () => (await events()).some(({ cluster, code }) => cluster === 'us' && code === 'HG1001'),
      () => 'the broken file is not told of',
    );
    await here.cluster('us').agent.end();
    await here.fleet.startAgent('us');
    expect((await here.ask('us', GOOD.host)).pod?.cluster).toBe('us');
    here.write('us', GOOD);
    await eventually(
      async () => (await events()).every(({ cluster }) => cluster !== 'us'),
      () => 'what was mended is still told of',
    );
    expect((await here.ask('us', GOOD.host)).pod?.cluster).toBe('us');
  });

  test('vanishes when it is mended, and not one request has failed', { timeout: 60_000 }, async () => {
    for (const { file } of bad) here.fleet.folder('eu').remove(file);
    let left: readonly EventItem[] = [];
    await eventually(
      async () => (left = await events()).length === 0,
      () => `still told of: ${left.map(objectOf).join(', ')}`,
    );
    expect(await here.fleet.must(['status'])).not.toContain('Needs attention');
    expect(load.total).toBeGreaterThan(RATE);
    expect(load.failures).toEqual([]);
  });
});

function policy(name: string, spec: string, kind = 'TrafficPolicy'): string {
  return `---\napiVersion: headgate.dev/v1alpha1\nkind: ${kind}\nmetadata: { name: ${name}, namespace: good }\nspec: ${spec}\n`;
}

describe('headgate apply', () => {
  const target = 'targetRefs: [{ group: "", kind: Namespace, name: good }]';

  test('takes what is good and names what is not, each on a line', async () => {
    const text = [
      policy('fine', `{ ${target}, exposure: Everywhere }`),
      policy('sometimes', `{ ${target}, exposure: Sometimes }`),
      policy('zero', `{ ${target}, tiers: [{ clusters: [{ name: eu, weight: 0 }] }] }`),
      policy('limits', '{ limits: [] }', 'RateLimitPolicy'),
      policy('evil', '{}', `"${EVIL}"`),
      service('good', 'web'),
    ].join('');
    const { code, stdout, stderr } = await here.fleet.run(['apply', '-f', '-'], text);
    expect(code).toBe(2);
    expect(stdout).toMatch(/^TrafficPolicy good\/fine created \(revision \d+\)\n$/);
    const lines = stderr.trimEnd().split('\n');
    expect(lines).toHaveLength(5);
    for (const line of lines) expect(line).toMatch(/^HG10\d\d .+: .+; .+/);
    for (const words of ['spec.exposure', 'HG1009', 'RateLimitPolicy', 'no kind', 'Service good/web']) {
      expect(lines.filter((line) => line.includes(words))).toHaveLength(1);
    }
    expect(`${stdout}${stderr}`).not.toMatch(RAW);
    const again = await here.fleet.run(['apply', '-o', 'json', '-f', '-'], text);
    const { items } = JSON.parse(again.stdout) as { items: ApplyResult[] };
    expect(items.filter(({ action }) => action === 'failed')).toHaveLength(5);
    expect(items.find(({ object }) => object.endsWith('good/fine'))).toMatchObject({ action: 'unchanged' });
  });

  test('of what is no YAML, of nothing and of a missing file writes nothing', async () => {
    const before = await here.fleet.must(['get', 'policies', '-o', 'json']);
    for (const [args, input, code, exit] of [
      [['-f', '-'], 'kind: [', 'HG1001', 2],
      [['-f', '-'], '', 'HG1002', 2],
      [['-f', join(here.fleet.data, 'none.yaml')], '', 'HG2001', 2],
    ] as const) {
      const refused = await here.fleet.run(['apply', ...args], input);
      expect(refused.stderr).toMatch(/^HG\d{4} [^\n]+; [^\n]+\n$/);
      expect(refused).toMatchObject({ code: exit, stdout: '', stderr: expect.stringContaining(code) as string });
    }
    expect(await here.fleet.must(['get', 'policies', '-o', 'json'])).toBe(before);
  });

  test('of a policy with an unknown cluster warns and lets the rest stand', async () => {
    await here.apply(
      policy('mars', `{ ${target}, tiers: [{ clusters: [{ name: mars, weight: 1 }, { name: eu, weight: 1 }] }] }`),
    );
    const told = (await events()).filter(({ code }) => code === 'HG1008');
    expect(told).toMatchObject([{ cluster: '', kind: 'TrafficPolicy', namespace: 'good', name: 'mars' }]);
    await here.fleet.must(['delete', '-f', '-'], policy('mars', '{}'));
    expect(await events()).toEqual([]);
    expect(load.failures).toEqual([]);
  });
});
