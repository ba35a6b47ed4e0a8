import { join } from 'node:path';

import { parse } from 'yaml';

import { askMaster } from '../../agent/haproxy/process/master.ts';
import { HeadgateError } from '../../lib/errors.ts';
import type { DemoFleet } from './fleet.ts';
import { sample, type Client, type Tally } from './load.ts';
import { until } from './processes.ts';

/** Percent by cluster. */
export type Shares = Readonly<Record<string, number>>;

export function ms(milliseconds: number | undefined): string {
  return milliseconds === undefined ? 'never' : `${milliseconds.toFixed(0)} ms`;
}

/** `count` requests at every entry: a tally per entry. */
export async function atEveryEntry(
  fleet: DemoFleet,
  client: Client,
  host: string,
  count: number,
): Promise<Map<string, Tally>> {
  const tallies = new Map<string, Tally>();
  for (const [entry, address] of fleet.entries()) tallies.set(entry, await sample(client, { address, host }, count));
  return tallies;
}

/** Requests that another cluster than their entry answered. */
export function crossed(tallies: ReadonlyMap<string, Tally>): number {
  let count = 0;
  for (const [entry, { byCluster, failed, total }] of tallies) count += total - failed - (byCluster.get(entry) ?? 0);
  return count;
}

/** The widest distance that chance explains: 4 standard deviations, in requests. */
function tolerance(count: number, share: number): number {
  return 4 * Math.sqrt(count * share * (1 - share)) + 1e-9;
}

/** The first cluster whose share seen is not the share asked, in words; undefined when all are. */
export function farFrom({ byCluster, total }: Tally, asked: Shares): string | undefined {
  const weights = Object.values(asked).reduce((sum, weight) => sum + weight, 0);
  for (const cluster of new Set([...Object.keys(asked), ...byCluster.keys()])) {
    const share = (asked[cluster] ?? 0) / weights;
    const seen = byCluster.get(cluster) ?? 0;
    if (Math.abs(seen - total * share) > tolerance(total, share)) {
      return `${cluster}: ${((100 * seen) / total).toFixed(1)} % seen, ${(100 * share).toFixed(1)} % asked`;
    }
  }
  return undefined;
}

/** "50.2/29.9/19.9 %" in the order of `asked`. */
export function percents({ byCluster, total }: Tally, asked: Shares): string {
  return `${Object.keys(asked)
    .map((name) => ((100 * (byCluster.get(name) ?? 0)) / total).toFixed(1))
    .join('/')} %`;
}

export async function setWeights(fleet: DemoFleet, target: string, weights: Shares): Promise<void> {
  await fleet.must(['weights', target, ...Object.entries(weights).map(([name, weight]) => `${name}=${weight}`)]);
}

/** Percent by cluster as `explain -o json` gives them. */
export function explainedShares(json: string): Shares {
  const { clusters } = JSON.parse(json) as { clusters: { cluster: string; share: number }[] };
  return Object.fromEntries(
    clusters.filter(({ share }) => share > 0).map(({ cluster, share }) => [cluster, share / 1_000]),
  );
}

/** Sum of a metric's samples on an ops address. */
export async function metricSum(ops: string, name: string): Promise<number> {
  const response = await fetch(`http://${ops}/metrics`);
  let sum = 0;
  for (const line of (await response.text()).split('\n')) {
    if (line.startsWith(`${name} `) || line.startsWith(`${name}{`))
      sum += Number(line.slice(line.lastIndexOf(' ') + 1));
  }
  return sum;
}

/** Reloads since HAProxy's master began, by its own count. @param data an agent's data folder */
export async function reloadsOf(data: string): Promise<number> {
  let text = '';
  // A master that is reloading executes itself anew and resets connections for a moment.
  await until(async () => {
    text = await askMaster(join(data, 'haproxy', 'master.sock'), 'show proc').catch(() => '');
    return text !== '';
  }, 2_000);
  const master = /^\d+\s+master\s+(\d+)/m.exec(text);
  if (master === null) throw new HeadgateError('HG5003', `HAProxy's master did not list its processes: ${text.trim()}`);
  return Number(master[1]);
}

/** Names of the policies whose target is exactly one route. */
export async function routePolicies(fleet: DemoFleet, route: string): Promise<{ namespace: string; name: string }[]> {
  const { items } = parse(await fleet.must(['get', 'policies', '-A', '-o', 'json'])) as {
    items: { namespace: string; name: string; spec: { targetRefs?: { kind: string; name: string }[] } }[];
  };
  return items.filter(
    ({ spec }) => spec.targetRefs?.some(({ kind, name }) => kind === 'Route' && name === route) === true,
  );
}
