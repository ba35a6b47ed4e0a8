import { cpSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { headgate, Program } from '../../cli/demo/processes.ts';
import { eventually, TestFleet, tier, trafficPolicy } from './fleet.fixture.ts';

/** The agents' own deadline for moving traffic: three probes a second apart, with room for a busy machine. */
const MOVE_MS = 15_000;
const HOST = 'outage.example';
const APP = { namespace: 'outage', host: HOST };

let fleet: TestFleet;
beforeAll(async () => {
  fleet = await TestFleet.start(['eu', 'us', 'ap'], 1);
  fleet.writeAll(APP, { eu: 1, us: 1, ap: 1 });
  await fleet.apply(trafficPolicy('outage', `tiers: [${tier({ us: 1 })}, ${tier({ ap: 1 })}]`));
  await fleet.expectShares('eu', HOST, { us: 1 }, 20);
});
afterAll(async () => await fleet?.[Symbol.asyncDispose]());

function logOf(name: string): string {
  return readFileSync(join(fleet.fleet.data, 'logs', `${name}.log`), 'utf8');
}

function occurrences(text: string, word: string): number {
  return text.split(word).length - 1;
}

/** An agent that a hub has refused, or that finds none, comes back within a minute: full jitter. */
async function expectConnected(): Promise<void> {
  await eventually(
    async () => (await fleet.list('clusters')).every((cluster) => cluster['connected'] === true),
    () => 'a cluster is not connected',
    65_000,
  );
}

describe('a hub that has gone back in time', () => {
  test('is refused by every agent, and configuration and traffic stay', async () => {
    const data = join(fleet.fleet.data, 'hub');
    const [older, newer] = [`${data}.older`, `${data}.newer`];
    await fleet.fleet.hub.end();
    cpSync(data, older, { recursive: true });
    await fleet.fleet.restartHub();
    await expectConnected();
    await fleet.apply(trafficPolicy('outage', `tiers: [${tier({ ap: 1 })}]`));
    await fleet.expectShares('eu', HOST, { ap: 1 }, 20);

    await fleet.fleet.hub.end();
    renameSync(data, newer);
    renameSync(older, data);
    await fleet.fleet.restartHub();
    await eventually(
      () => Promise.resolve(['eu', 'us', 'ap'].every((name) => logOf(name).includes('HG3003'))),
      () => 'an agent has not refused the hub',
    );
    await fleet.expectShares('eu', HOST, { ap: 1 }, 50);
    // Own changes go on meanwhile.
    fleet.write('eu', { namespace: 'local', host: HOST.replace('outage', 'local') });

    // The newest store again: the way back that an operator has without losing anything.
    await fleet.fleet.hub.end();
    rmSync(data, { recursive: true });
    renameSync(newer, data);
    await fleet.fleet.restartHub();
    await expectConnected();
    await fleet.apply(trafficPolicy('outage', `tiers: [${tier({ us: 1 })}, ${tier({ ap: 1 })}]`));
    await fleet.expectShares('eu', HOST, { us: 1 }, 20);
    await fleet.expectShares('eu', 'local.example', { eu: 1 }, 20);
  }, 180_000);
});

describe('two agents of one identity', () => {
  test('the one that started later speaks, the other is closed, and nothing flaps', async () => {
    const { data, folder } = fleet.cluster('ap');
    const copy = `${data}2`;
    cpSync(data, copy, {
      recursive: true,
      filter: (path) => !path.startsWith(join(data, 'haproxy')) && !path.endsWith('agent.pid'),
    });
    const any = '127.0.0.1:0';
    const listeners = ['http', 'https', 'gateway'].flatMap((name) => [`--listen-${name}`, any]);
    const flags = [
      '--cluster',
      'ap',
      '--data',
      copy,
      '--source',
      `directory:${folder.path}`,
      ...listeners,
      '--ops',
      any,
    ];
    const second = await Program.start(
      ['agent', '--hub', String(fleet.fleet.hub.ready['grpc']), ...flags],
      join(fleet.fleet.data, 'logs', 'ap2.log'),
    );
    try {
      await eventually(
        () => Promise.resolve(logOf('ap').includes('HG3004')),
        () => 'the agent that started first was not closed',
      );
      await expectConnected();
      const since = performance.now();
      const seen: unknown[] = [];
      await eventually(
        async () => {
          seen.push((await fleet.list('clusters')).find((cluster) => cluster['name'] === 'ap')?.['connected']);
          expect((await fleet.ask('ap', HOST)).status).toBe(200);
          return performance.now() - since > 4_000;
        },
        () => '',
      );
      expect(new Set(seen)).toEqual(new Set([true]));
      expect(occurrences(logOf('ap2'), 'HG3004')).toBe(0);
    } finally {
      await headgate(['agent', 'stop', '--data', copy]);
      await second.end();
    }
    await expectConnected();
    expect((await fleet.ask('ap', HOST)).status).toBe(200);
  }, 120_000);
});

describe('agents without a hub', () => {
  const one = { namespace: 'one', host: 'one.example' };

  beforeAll(async () => {
    fleet.writeAll(one, { eu: 0, us: 1, ap: 0 });
    await fleet.expectShares('eu', one.host, { us: 1 }, 20);
    fleet.write('ap', one);
    await fleet.expectShares('eu', one.host, { us: 1, ap: 1 }, 50);
    await fleet.fleet.hub.end('SIGKILL');
  });

  test('move a route whose endpoints a peer has lost', async () => {
    fleet.write('us', { ...one, ready: 0 });
    const took = await eventually(
      async () => (await fleet.sample('eu', one.host, 20)).byCluster.get('ap') === 20,
      () => 'the route did not move',
      MOVE_MS,
    );
    process.stdout.write(`without a hub: a route moved off a peer without endpoints in ${took.toFixed(0)} ms\n`);
    await fleet.expectShares('eu', HOST, { us: 1 }, 20);
  });

  test('move the traffic of a cluster that is killed', async () => {
    await fleet.expectShares('eu', HOST, { us: 1 }, 20);
    fleet.fleet.killCluster('us');
    const took = await eventually(
      async () => (await fleet.sample('eu', HOST, 20)).byCluster.get('ap') === 20,
      () => 'traffic did not move',
      MOVE_MS,
    );
    process.stdout.write(`without a hub: traffic moved off a killed cluster in ${took.toFixed(0)} ms\n`);
    await fleet.expectShares('eu', HOST, { ap: 1 }, 100);
    await fleet.expectShares('eu', one.host, { ap: 1 }, 50);
  });
});
