import { setTimeout as sleep } from 'node:timers/promises';
import { type ClientResult, SteadyClient } from '../safety/steady-client.ts';
import { Generators, type Rates, type Tally } from './generators.ts';
import { LongStreams } from './long-streams.ts';
import { phases, type Sizes } from './phases.ts';
import { hosts, Site } from './site.ts';

export interface HitlessOptions {
  readonly sizes: Sizes;
  /** Requests a second: of the steady client, whose latencies are told, and of the load generators. */
  readonly rates: Rates & { readonly steady: number };
  readonly websockets: number;
  readonly downloads: number;
  readonly note?: (text: string) => void;
}

export interface PhaseOutcome {
  readonly name: string;
  readonly seconds: number;
  readonly steady: ClientResult;
  readonly generators: Tally;
  /** By reason, those of both agents. */
  readonly reloads: ReadonlyMap<string, number>;
  /** Requests that failed and reloads that may not be, in words. */
  readonly faults: readonly string[];
}

export interface HitlessOutcome {
  readonly phases: readonly PhaseOutcome[];
  /** Long streams that did not come to their good end. */
  readonly broken: readonly string[];
}

/** Everything that may happen to a node without a request noticing, one kind after another, under load. */
export async function hitless(options: HitlessOptions): Promise<HitlessOutcome> {
  const { sizes, rates, note = () => {} } = options;
  await using stack = new AsyncDisposableStack();
  const site = stack.use(await Site.open());
  const names = Object.values(hosts);
  const target = { http: site.port('eu', 'http'), https: site.port('eu', 'https'), hosts: names };
  const client = stack.use(await SteadyClient.start({ ...target, rate: rates.steady }));

  const outcomes: PhaseOutcome[] = [];
  const broken: string[] = [];
  for (const { name, run, mayReload, forced } of phases(sizes)) {
    note(name);
    // Anew each time: HAProxy ends the streams of an old worker after the sixth reload.
    await using streams = await LongStreams.open(site, target, options);
    const before = await site.reloads();
    const generators = stack.use(Generators.start(target, rates));
    await client.lap();
    const began = performance.now();
    await run(site).catch((cause: unknown) => {
      throw new Error(`${name}: ${String(cause)}\n${site.lastWords()}`, { cause });
    });
    // What a change did shows in requests after it.
    await sleep(300);
    const steady = await client.lap();
    const tally = await generators.stop();
    const reloads = since(before, await site.reloads());
    const forbidden = [...reloads].filter(([reason]) => !mayReload.includes(reason));
    outcomes.push({
      name,
      seconds: (performance.now() - began) / 1_000,
      steady,
      generators: tally,
      reloads,
      faults: [
        ...steady.failures.slice(0, 10).map((failure) => `${name}: ${failure}`),
        ...(tally.failed === 0 ? [] : [`${name}: ${tally.failed} requests of wrk and h2load failed`]),
        ...(tally.unanswered === 0 || forced || mayReload.length > 0
          ? []
          : [`${name}: h2load got no answer ${tally.unanswered} times`]),
        ...forbidden.map(([reason, count]) => `${name}: ${count} reloads for ${reason}`),
      ],
    });
    for (const one of await streams.finish()) broken.push(`${name}: ${one}`);
  }
  await client.stop();

  return { phases: outcomes, broken };
}

/** By reason. An agent that started meanwhile counts from nothing. */
function since(before: ReadonlyMap<string, number>, after: ReadonlyMap<string, number>): ReadonlyMap<string, number> {
  const grown = new Map<string, number>();
  for (const [key, count] of after) {
    const held = before.get(key) ?? 0;
    const more = count < held ? count : count - held;
    const reason = key.slice(key.indexOf(' ') + 1);
    if (more > 0) grown.set(reason, (grown.get(reason) ?? 0) + more);
  }
  return grown;
}

/** One line of figures. */
export function summary({ phases: all, broken }: HitlessOutcome): string {
  const requests = all.reduce((sum, { steady, generators }) => sum + total(steady) + generators.requests, 0);
  const failed = all.reduce((sum, { steady, generators }) => sum + steady.failures.length + generators.failed, 0);
  const resent = all.reduce((sum, { steady }) => sum + steady.retried, 0);
  const unanswered = all.reduce((sum, { generators }) => sum + generators.unanswered, 0);
  const slowest = Math.max(...all.map(({ steady }) => steady.slowest));
  return (
    `promise-08 hitless: ${requests} requests, ${failed} failed, ${resent} HTTP/2 streams sent again, ${unanswered} that ` +
    `h2load did not send again, ${broken.length} long streams broken, slowest ${slowest.toFixed(0)} ms, during ` +
    all.map(({ name, seconds }) => `${name} (${seconds.toFixed(1)} s)`).join(', ')
  );
}

export function total({ requests }: ClientResult): number {
  return Object.values(requests).reduce((a, b) => a + b, 0);
}
