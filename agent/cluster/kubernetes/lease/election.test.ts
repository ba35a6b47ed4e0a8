import { expect, test } from 'vitest';
import { ApiError, resources, type KubernetesClient, type KubernetesObject } from '../../../../lib/kubernetes/index.ts';
import { silentLog } from '../../../../lib/log.ts';
import { VirtualClock } from '../../../../lib/virtual-clock.fixture.ts';
import { Election, type Term } from './election.ts';

const lease = { namespace: 'headgate', name: 'agent' };

/** One Lease in memory: what the API server's versions mean, and nothing else of it. */
class Leases implements Pick<KubernetesClient, 'get' | 'create' | 'replace'> {
  object: KubernetesObject | undefined;
  isAway = false;
  /** Takes what it is asked and never answers, whatever the caller's signal says. */
  isHung = false;
  #version = 0;

  get spec(): Record<string, unknown> {
    return (this.object?.['spec'] ?? {}) as Record<string, unknown>;
  }

  readonly get = async (): Promise<KubernetesObject> => {
    await this.#answer('get');
    return this.object ?? this.#refuse('get', 404);
  };

  readonly create = async (_: unknown, object: KubernetesObject): Promise<KubernetesObject> => {
    await this.#answer('create');
    return this.object === undefined ? this.#store(object) : this.#refuse('create', 409);
  };

  readonly replace = async (_: unknown, object: KubernetesObject): Promise<KubernetesObject> => {
    await this.#answer('update');
    if (this.object === undefined) return this.#refuse('update', 404);
    const isCurrent = object.metadata.resourceVersion === this.object.metadata.resourceVersion;
    return isCurrent ? this.#store(object) : this.#refuse('update', 409);
  };

  #store(object: KubernetesObject): KubernetesObject {
    return (this.object = { ...object, metadata: { ...object.metadata, resourceVersion: String(++this.#version) } });
  }

  async #answer(verb: 'get' | 'create' | 'update'): Promise<void> {
    await Promise.resolve();
    if (this.isHung) await new Promise(() => undefined);
    if (this.isAway) this.#refuse(verb, 500);
  }

  #refuse(verb: 'get' | 'create' | 'update', status: number): never {
    throw new ApiError({ verb, resource: resources.leases, name: lease }, { status, reason: '', message: '' });
  }
}

const byNumber = (a: bigint, b: bigint): number => Number(a - b);

class Replica {
  readonly terms: Term[] = [];
  readonly stop = new AbortController();
  readonly running: Promise<void>;

  constructor(holder: string, client: Leases, clock: VirtualClock) {
    const lead = async (term: Term): Promise<void> => {
      this.terms.push(term);
      await new Promise<void>((resolve) => term.signal.addEventListener('abort', () => resolve(), { once: true }));
    };
    this.running = new Election({ client, lease, holder, lead, clock, log: silentLog }).run(this.stop.signal);
  }

  get leads(): boolean {
    return this.terms.at(-1)?.isHeld() === true;
  }
}

async function pair(): Promise<{ clock: VirtualClock; leases: Leases; a: Replica; b: Replica }> {
  const clock = new VirtualClock(7);
  const leases = new Leases();
  const a = new Replica('a', leases, clock);
  await clock.advance(500);
  const b = new Replica('b', leases, clock);
  await clock.advance(20_000);
  return { clock, leases, a, b };
}

test('one leads, goes on leading, and the other takes over at once when it ends in order', async () => {
  const { clock, leases, a, b } = await pair();
  await clock.advance(60_000);
  expect([a.terms.length, b.terms.length, a.leads]).toEqual([1, 0, true]);
  a.stop.abort();
  await a.running;
  expect(leases.spec['holderIdentity']).toBe('');
  await clock.advance(1_300);
  expect(b.leads).toBe(true);
  expect(b.terms[0]?.number).toBe(2n);
  b.stop.abort();
  await b.running;
});

test('a leader that is stopped has lost its term when it wakes, before its timers run', async () => {
  const { clock, a } = await pair();
  clock.hang(8_001);
  expect(a.leads).toBe(false);
  expect(a.terms[0]?.signal.aborted).toBe(false);
  await clock.advance(3_000);
  expect(a.terms[0]?.signal.aborted).toBe(true);
});

test('while the API server is away the leader ends before another may begin, and one leads afterwards', async () => {
  const { clock, leases, a, b } = await pair();
  leases.isAway = true;
  await clock.advance(8_100);
  expect([a.leads, a.terms[0]?.signal.aborted, b.leads]).toEqual([false, true, false]);
  await clock.advance(60_000);
  expect(b.terms).toEqual([]);
  leases.isAway = false;
  await clock.advance(12_000);
  const terms = [...a.terms, ...b.terms].map(({ number }) => number);
  expect([a.leads, b.leads].filter(Boolean)).toHaveLength(1);
  expect(terms.toSorted(byNumber)).toEqual([1n, 2n]);
});

test('a renewal that never comes to an end does not outlast the term', async () => {
  const { clock, leases, a, b } = await pair();
  leases.isHung = true;
  await clock.advance(8_100);
  expect([a.leads, a.terms[0]?.signal.aborted, b.leads]).toEqual([false, true, false]);
});

test('one that is gone without a word is followed within 15 s, judged by when its record was seen to change', async () => {
  const clock = new VirtualClock(3);
  const leases = new Leases();
  const past = '1999-01-01T00:00:00.000000Z';
  await leases.create(undefined, {
    metadata: lease,
    spec: { holderIdentity: 'dead', leaseDurationSeconds: 10, leaseTransitions: 41, renewTime: past },
  });
  const a = new Replica('a', leases, clock);
  await clock.advance(9_900);
  // However old its own clock says that it is.
  expect(a.leads).toBe(false);
  await clock.advance(2_500);
  expect(a.leads).toBe(true);
  expect(a.terms[0]?.number).toBe(42n);
});

test('a Lease that somebody deletes or edits: the term ends or goes on, and numbers never fall', async () => {
  const { clock, leases, a, b } = await pair();
  const edited = leases.object;
  if (edited !== undefined) await leases.replace(undefined, { ...edited, labels: { touched: 'yes' } });
  await clock.advance(10_000);
  expect([a.leads, a.terms.length]).toEqual([true, 1]);
  leases.object = undefined;
  await clock.advance(5_000);
  const numbers = [...a.terms, ...b.terms].map(({ number }) => number);
  expect(numbers.toSorted(byNumber)).toEqual([1n, 2n]);
  expect([a.leads, b.leads].filter(Boolean)).toHaveLength(1);
});
