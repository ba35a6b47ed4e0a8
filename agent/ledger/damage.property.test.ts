import { cpSync, mkdtempSync, readFileSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { assert, asyncProperty, boolean, constantFrom, double } from 'fast-check';
import { expect, it } from 'vitest';
import { silentLog } from '../../lib/log.ts';
import { resource } from '../../lib/sync/index.ts';
import type { Inventory } from '../../lib/sync/index.ts';
import { openLedger } from './open-ledger.ts';

const files = ['current/snapshot', 'current/journal', 'previous/snapshot', 'previous/journal'] as const;

/** What a ledger holds at a revision: `r` at every one, and a key of its own. */
function contents(inventory: Inventory): string[] {
  return [...inventory.all()].map(({ name, body }) => `${name}=${Buffer.from(body).toString()}`).sort();
}

function wanted(revision: number): string[] {
  const own = Array.from({ length: revision }, (_, i) => `k${i + 1}=${'x'.repeat(50)}${i + 1}`);
  return [...own, `r=${revision}`].sort();
}

it('a flipped bit or a cut anywhere in any one file: an earlier whole state or the last, never a mixture', async () => {
  const root = mkdtempSync(join(tmpdir(), 'headgate-ledger-'));
  try {
    const ledgerAt = (folder: string) => openLedger({ folder, keyFile: join(root, 'key'), log: silentLog });
    const pristine = join(root, 'pristine');
    const commit = async (from: number, to: number): Promise<void> => {
      await using ledger = await ledgerAt(pristine);
      for (let revision = from; revision <= to; revision++) {
        await ledger.commit({
          epoch: { counter: 1n, id: 'e' },
          revision: BigInt(revision),
          endOfSnapshot: false,
          upserts: [
            resource('host', 'r', Buffer.from(String(revision))),
            resource('own-certificate', `k${revision}`, Buffer.from(`${'x'.repeat(50)}${revision}`)),
          ],
          removals: [],
        });
      }
    };
    // Two generations: the first with its journal becomes the previous one of the second.
    await commit(1, 3);
    renameSync(join(pristine, 'current'), join(pristine, 'previous'));
    await commit(4, 4);
    await assert(
      asyncProperty(
        constantFrom(...files),
        double({ min: 0, max: 1, noNaN: true, maxExcluded: true }),
        boolean(),
        async (file, where, cut) => {
          const folder = join(root, 'one');
          rmSync(folder, { recursive: true, force: true });
          cpSync(pristine, folder, { recursive: true });
          const path = join(folder, file);
          const bytes = readFileSync(path);
          const at = Math.floor(where * bytes.length);
          if (cut) truncateSync(path, at);
          else if (bytes.length > 0) {
            bytes[at] = (bytes[at] ?? 0) ^ (1 << (at % 8));
            writeFileSync(path, bytes);
          }
          await using ledger = await ledgerAt(folder);
          const revision = Number(ledger.held()?.revision ?? -1n);
          expect(file.startsWith('previous') ? [4] : [3, 4]).toContain(revision);
          expect(contents(ledger.inventory)).toEqual(wanted(revision));
        },
      ),
      { numRuns: 300 },
    );
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
});
