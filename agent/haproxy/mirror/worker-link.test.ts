import { expect, it } from 'vitest';
import { VirtualClock } from '../../../lib/virtual-clock.fixture.ts';
import type { ProcessTable } from '../process/master.ts';
import { WorkerLink } from './worker-link.ts';

/** A link to what a test says of HAProxy. */
function linkTo(haproxy: { worker: number; closed: boolean; served: boolean }) {
  const clock = new VirtualClock();
  const link = new WorkerLink({
    process: {
      get worker() {
        return haproxy.worker;
      },
      alive: () => true,
      refresh: () => Promise.resolve(tableOf(haproxy.worker)),
      isServed: () => Promise.resolve(haproxy.served),
    },
    client: {
      get wasClosed() {
        return haproxy.closed;
      },
      reset: () => {
        haproxy.closed = false;
      },
    },
    clock,
    signal: new AbortController().signal,
  });
  return { clock, link };
}

function tableOf(worker: number): ProcessTable {
  return { master: 1, worker, oldWorkers: [], reloads: 0, failed: 0 };
}

it('tells a worker that it has not looked at, by its pid or by its connection', async () => {
  const haproxy = { worker: 10, closed: false, served: true };
  const { link } = linkTo(haproxy);
  expect(link).toMatchObject({ serves: false, isStranger: true });
  await link.connect();
  expect(link).toMatchObject({ worker: 10, serves: true, isStranger: false });
  haproxy.worker = 11;
  expect(link.isStranger).toBe(true);
  await link.connect();
  // Started again in a container, it has the pid that it had.
  haproxy.closed = true;
  expect(link.isStranger).toBe(true);
  await link.connect();
  expect(link.isStranger).toBe(false);
  link.forget();
  expect(link.serves).toBe(false);
});

it('gives a worker 5 s to answer', async () => {
  const haproxy = { worker: 10, closed: false, served: false };
  const { clock, link } = linkTo(haproxy);
  const connected = link.connect().catch((error: unknown) => error);
  await clock.advance(6_000);
  expect(await connected).toMatchObject({ code: 'HG5004' });
  expect(link.serves).toBe(false);
});
