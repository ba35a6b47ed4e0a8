import { expect, test } from 'vitest';
import { resource, type Resource } from '../../lib/sync/index.ts';
import { Service } from '../../proto/gen/headgate/v1/reported.ts';
import type { SourceChange } from './source.ts';
import { ChangeBuffer } from './change-buffer.ts';

function service(name: string, ready: number): Resource {
  const ports = [{ name: '', number: 80, ready }];
  return resource('service', `shop/${name}`, Service.encode({ namespace: 'shop', name, ports }).finish());
}

function reported(...upserts: Resource[]): SourceChange {
  return { report: { upserts, removals: [] }, own: { upserts: [], removals: [] } };
}

function readyIn(change: SourceChange | undefined): number[] | undefined {
  return change?.report.upserts.map(({ body }) => Service.decode(body).ports[0]?.ready ?? -1);
}

test('ready counts wait, and only the newest is told', () => {
  const buffer = new ChangeBuffer(100);
  buffer.add(reported(service('web', 1)));
  expect(readyIn(buffer.take(0))).toEqual([1]);
  expect(buffer.deadline()).toBeUndefined();
  for (const ready of [2, 3, 4]) buffer.add(reported(service('web', ready)));
  expect(buffer.take(50)).toBeUndefined();
  expect(buffer.deadline()).toBe(100);
  expect(readyIn(buffer.take(100))).toEqual([4]);
});

test('the last endpoint gone and the first one back are told at once', () => {
  const buffer = new ChangeBuffer(100);
  for (const [now, ready] of [
    [0, 1],
    [1, 0],
    [2, 3],
  ] as const) {
    buffer.add(reported(service('web', ready)));
    expect(readyIn(buffer.take(now))).toEqual([ready]);
  }
  buffer.add(reported(service('web', 2), service('other', 1)));
  expect(readyIn(buffer.take(3))).toEqual([1]);
  expect(buffer.deadline()).toBe(102);
});

test('a removal never waits and takes what waited with it', () => {
  const buffer = new ChangeBuffer(100);
  buffer.add(reported(service('web', 1)));
  buffer.take(0);
  buffer.add(reported(service('web', 2)));
  buffer.add({ ...reported(), report: { upserts: [], removals: [{ type: 'service', name: 'shop/web' }] } });
  expect(buffer.take(1)?.report).toEqual({ upserts: [], removals: [{ type: 'service', name: 'shop/web' }] });
  expect(buffer.take(200)).toBeUndefined();
});
