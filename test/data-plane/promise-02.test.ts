import { cpSync, readFileSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { testBackend } from '../../agent/haproxy/testing/rig.fixture.ts';
import type { TestBackend } from '../../agent/haproxy/testing/rig.fixture.ts';
import { ColdNode, siteResources } from './cold-node.ts';
import { report } from './report.ts';

const SITES = 1_000;
/** What the promises give, and what a busy machine may add. Milliseconds. */
const SERVING = 2_000 + 6_000;

let node: ColdNode;
let upstream: TestBackend;
let pristine: string;

// The ledger is made once; every test begins with a copy of it.
beforeAll(async () => {
  upstream = await testBackend('one');
  node = await ColdNode.make();
  rmSync(node.ledger, { recursive: true });
  await node.keep(await siteResources(SITES, upstream.port));
  // What is damaged below is a snapshot: the last record of a journal is the only one that may be dropped.
  renameSync(join(node.ledger, 'current'), join(node.ledger, 'previous'));
  await node.keep([]);
  pristine = join(node.data, 'pristine');
  renameSync(node.ledger, pristine);
});

afterAll(async () => {
  await node[Symbol.asyncDispose]();
  await upstream[Symbol.asyncDispose]();
});

/** A node after a reboot: its ledger, and nothing of HAProxy's. */
function reset(): void {
  rmSync(node.ledger, { recursive: true, force: true });
  cpSync(pristine, node.ledger, { recursive: true });
  rmSync(join(node.data, 'haproxy'), { recursive: true, force: true });
}

async function serves(): Promise<void> {
  for (const i of [0, SITES / 2, SITES - 1]) {
    expect(await node.status(`site${i}.example`)).toBe(200);
    expect(await node.certificate(`site${i}.example`)).toBe(`site${i}.example`);
  }
}

it('promise-02 cold start without hub: 1,000 routes and certificates serve within 2 s', async () => {
  reset();
  try {
    const ms = await node.start();
    await serves();
    report('promise-02 cold start without hub', { 'serving after ms': ms });
    expect(ms).toBeLessThan(SERVING);
  } finally {
    await node.stop();
  }
});

describe('promise-03 corrupt state: the previous generation serves within 2 s', () => {
  it.each([
    ['a flipped bit', flipBit],
    ['a truncated file', (current: string) => truncateSync(join(current, 'snapshot'), 10_000)],
    ['a missing folder', (current: string) => rmSync(current, { recursive: true })],
  ])('%s in current', async (what, damage) => {
    reset();
    damage(join(node.ledger, 'current'));
    try {
      const ms = await node.start();
      await serves();
      report(`promise-03 corrupt state, ${what}`, { 'serving after ms': ms });
      expect(ms).toBeLessThan(SERVING);
      expect(await node.ops('/readyz?verbose')).toContain('[+]ledger ok: the previous generation was loaded');
    } finally {
      await node.stop();
    }
  });
});

function flipBit(current: string): void {
  const path = join(current, 'snapshot');
  const bytes = readFileSync(path);
  const at = Math.floor(bytes.length / 2);
  bytes[at] = (bytes[at] ?? 0) ^ 0x04;
  writeFileSync(path, bytes);
}
