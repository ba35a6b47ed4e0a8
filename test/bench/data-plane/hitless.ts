import { fullSize } from '../../hitless/full-size.ts';
import { hitless, type HitlessOptions, type PhaseOutcome, total } from '../../hitless/hitless.ts';
import type { Bench, BenchOptions, BenchReport } from '../bench.ts';
import { round } from '../numbers.ts';

const smallSize: HitlessOptions = {
  sizes: { idle: 500, routes: 20, births: 10, certificates: 3, rollouts: 1, reloads: 1, kills: 1, upgrades: 1 },
  rates: { steady: 200, kept: 100, fresh: 40, http2: 100 },
  websockets: 2,
  downloads: 1,
};

async function run({ smoke, note }: BenchOptions): Promise<BenchReport> {
  const options = smoke ? smallSize : fullSize;
  const { phases, broken } = await hitless({ ...options, note });
  const { steady, kept, fresh, http2 } = options.rates;
  const failed = phases.reduce((sum, phase) => sum + failures(phase), 0);
  return {
    tables: [
      {
        title: `Under ${steady + kept + fresh + http2} requests a second (${steady} of a client that sends on time whatever comes back, whose latencies these are; wrk ${kept} kept alive and ${fresh} on new connections; h2load ${http2}), ${options.websockets} WebSockets and ${options.downloads} downloads open, ms`,
        columns: [
          'meanwhile',
          's',
          'requests',
          'failed',
          'sent again',
          'h2load unanswered',
          'p50',
          'p99',
          'most',
          'reloads',
        ],
        rows: phases.map((phase) => [
          phase.name,
          round(phase.seconds, 1),
          total(phase.steady) + phase.generators.requests,
          failures(phase),
          phase.steady.retried,
          phase.generators.unanswered,
          round(phase.steady.p50, 1),
          round(phase.steady.p99, 1),
          round(phase.steady.slowest, 1),
          [...phase.reloads].map(([reason, count]) => `${reason} ${count}`).join(', ') || 'none',
        ]),
      },
    ],
    figures: smoke
      ? []
      : [
          { what: 'requests failed during all changes', limit: 0, seen: failed, unit: '' },
          { what: 'WebSockets and downloads broken', limit: 0, seen: broken.length, unit: '' },
        ],
    faults: [...phases.flatMap(({ faults }) => faults), ...broken],
  };
}

function failures({ steady, generators }: PhaseOutcome): number {
  return steady.failures.length + generators.failed;
}

export const hitlessChange: Bench = {
  name: 'data-plane:hitless',
  summary: 'failures and worst latency by kind of change under 2,000 requests a second',
  run,
};
