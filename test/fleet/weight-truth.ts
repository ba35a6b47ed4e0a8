import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

import { tier, trafficPolicy, type TestFleet } from './fleet.fixture.ts';
import { COUNT_PATH } from './pods.ts';
import { sigmas } from './shares.ts';

const run = promisify(execFile);

/** Percent that the farther cluster is asked to serve. */
const PERCENTS = [50, 10, 1, 0.1] as const;

export interface WeightTruth {
  readonly percent: number;
  readonly requests: number;
  /** Requests that the farther cluster's pods counted. */
  readonly seen: number;
  /** How far that is from what was asked, in standard deviations. */
  readonly sigmas: number;
  /** Answers other than 200, and connections that broke. */
  readonly failed: number;
}

/** A route for each weight, all in place before any request is counted. */
export async function weighRoutes(fleet: TestFleet): Promise<void> {
  const policies = PERCENTS.map((percent, i) => {
    const namespace = `weight-${i}`;
    fleet.writeAll({ namespace, host: hostOf(i) }, { eu: 3, us: 3 });
    return trafficPolicy(namespace, `tiers: [${tier({ eu: 1_000 - 10 * percent, us: 10 * percent })}]`);
  });
  await fleet.apply(policies.join(''));
  for (const [i, percent] of PERCENTS.entries()) {
    await fleet.expectSplit('eu', hostOf(i), { eu: 100_000 - 1_000 * percent, us: 1_000 * percent });
  }
}

/** At least `count` requests for each weight, counted by the pods that answered. */
export async function measureWeights(fleet: TestFleet, count: number): Promise<WeightTruth[]> {
  const found: WeightTruth[] = [];
  for (const [i, percent] of PERCENTS.entries()) {
    const host = hostOf(i);
    const before = await fleet.pods.counted(host);
    let failed = 0;
    let requests = 0;
    let seen = 0;
    while (requests < count) {
      failed += await load(fleet.entry('eu'), host, 1);
      const now = await fleet.pods.counted(host);
      const since = (cluster: string): number => (now.get(cluster) ?? 0) - (before.get(cluster) ?? 0);
      seen = since('us');
      requests = since('eu') + seen;
    }
    found.push({ percent, requests, seen, sigmas: sigmas(seen, requests, percent / 100), failed });
  }
  return found;
}

export function inWords({ percent, requests, seen, sigmas, failed }: WeightTruth): string {
  const share = ((100 * seen) / requests).toFixed(3);
  return `${percent} % asked: ${seen} of ${requests} = ${share} %, ${sigmas.toFixed(2)} σ off, ${failed} failed`;
}

function hostOf(index: number): string {
  return `weight-${index}.example`;
}

/** @returns requests that failed */
async function load(entry: string, host: string, seconds: number): Promise<number> {
  const { stdout } = await run('wrk', [
    '-t1',
    '-c16',
    `-d${seconds}s`,
    '-H',
    `Host: ${host}`,
    `http://${entry}${COUNT_PATH}`,
  ]);
  const status = /Non-2xx or 3xx responses: (\d+)/.exec(stdout)?.[1] ?? '0';
  const sockets = /Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)/.exec(stdout)?.slice(1) ?? [];
  return [status, ...sockets].reduce((sum, count) => sum + Number(count), 0);
}
