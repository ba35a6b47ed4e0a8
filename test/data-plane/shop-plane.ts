import { expect } from 'vitest';
import { PlaneBench, service, until } from '../../agent/haproxy/testing/plane.fixture.ts';

/** A data plane that serves shop.example from one upstream, `one`. */
export async function shopPlane(): Promise<PlaneBench> {
  const bench = await PlaneBench.make();
  const upstream = await bench.upstream('one');
  await bench.start(service('shop', [upstream.port]));
  return bench;
}

/** @returns milliseconds until the data plane tells of something. */
export async function noticed({ plane }: PlaneBench): Promise<number> {
  const { ms } = await until(
    () => Promise.resolve(plane.status()),
    ({ reason }) => reason !== '',
  );
  return ms;
}

/** @returns milliseconds until it serves and tells of nothing. */
export async function mended({ plane }: PlaneBench): Promise<number> {
  const { ms } = await until(
    () => Promise.resolve(plane.status()),
    ({ ready, reason }) => ready && reason === '',
  );
  return ms;
}

/** What was there before is there, and what is new comes. */
export async function works(bench: PlaneBench): Promise<void> {
  const upstream = await bench.upstream('two');
  expect((await bench.get('shop.example')).body).toBe('one');
  await bench.apply(service('next', [upstream.port]));
  expect((await bench.get('next.example')).body).toBe('two');
}
