import { describe, expect, test } from 'vitest';
import { silentLog } from '../../lib/log.ts';
import { VirtualClock } from '../../lib/virtual-clock.fixture.ts';
import { runElected } from './election.ts';
import { keys } from './keys.ts';
import { ModelStore, Replica } from './replicas.fixture.ts';
import type { Store } from './store.ts';

const SEEDS = 1_000;
/** Longer than a lease lives. */
const PAUSE = 30_000;

interface Outcome {
  /** Writes of one that another had succeeded. */
  readonly stray: number;
  readonly writes: number;
  readonly leaders: number;
}

/** Three replicas stand; the one that leads writes every second, and is paused again and again, at any moment. */
async function play(seed: number, fenced: boolean): Promise<Outcome> {
  const clock = new VirtualClock(seed);
  const model = new ModelStore(clock);
  const replicas = ['a', 'b', 'c'].map(() => new Replica(model));
  const leaders = new Set<string>();
  let [stray, writes] = [0, 0];
  model.onCommit = (changes) => {
    for (const change of changes) {
      if (change.kind !== 'put' || !change.entry.key.startsWith('work/')) continue;
      writes += 1;
      const leader = Buffer.from(model.entries.get(keys.leader)?.value ?? []).toString();
      leaders.add(leader);
      if (Buffer.from(change.entry.value).toString() !== leader) stray += 1;
    }
  };
  const stop = new AbortController();
  const standing = replicas.map(async ({ store }, index) => {
    const candidate = `r${index}`;
    const lead = async (own: Store, signal: AbortSignal): Promise<void> => {
      for (let n = 0; !signal.aborted; n++) {
        await (fenced ? own : store).transact({
          operations: [{ kind: 'put', key: `work/${candidate}`, value: Buffer.from(candidate) }],
        });
        await clock.sleep(1_000 * clock.random(), signal).catch(() => undefined);
      }
    };
    await runElected({ store, clock, log: silentLog, key: keys.leader, candidate }, lead, stop.signal);
  });
  for (let round = 0; round < 3; round++) {
    await clock.advance(2_000 * clock.random());
    const leader = Buffer.from(model.entries.get(keys.leader)?.value ?? []).toString();
    const victim = replicas[Number(leader.slice(1))];
    victim?.pause();
    for (let passed = 0; passed < PAUSE; passed += 5_000) {
      await clock.advance(5_000);
      model.tick();
    }
    victim?.resume();
    await clock.advance(1_000);
    model.tick();
  }
  stop.abort();
  await clock.advance(1_000);
  await Promise.all(standing);
  return { stray, writes, leaders: leaders.size };
}

describe('promise-16 a leader that was paused', () => {
  test(`changes nothing when it wakes, by ${SEEDS} seeds`, async () => {
    for (let seed = 1; seed <= SEEDS; seed++) {
      const { stray, writes, leaders } = await play(seed, true);
      expect({ seed, stray }).toEqual({ seed, stray: 0 });
      expect({ seed, leaders, writing: writes > 10 }).toEqual({ seed, leaders: expect.any(Number), writing: true });
      expect(leaders).toBeGreaterThan(1);
    }
  });

  test('would write astray without the fence', async () => {
    let stray = 0;
    for (let seed = 1; seed <= 50; seed++) stray += (await play(seed, false)).stray;
    expect(stray).toBeGreaterThan(0);
  });
});
