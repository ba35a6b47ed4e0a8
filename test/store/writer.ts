// Writes until it is killed: `writer.ts FOLDER`. Prints `<writer> <number> <revision>` once a write is acknowledged.
import { writeSync } from 'node:fs';
import { openEmbeddedStore } from '../../hub/store/embedded.ts';
import { systemClock } from '../../lib/clock.ts';
import { silentLog } from '../../lib/log.ts';

export const WRITERS = 6;
/** Entries `log/<writer>/<number>` that a writer leaves behind. */
export const KEPT = 40;

if (import.meta.main) {
  const folder = process.argv[2] ?? '';
  const store = await openEmbeddedStore({ folder, clock: systemClock, log: silentLog });
  const write = async (writer: number): Promise<never> => {
    let last = Number(Buffer.from((await store.get(`a/${writer}`))?.value ?? '0').toString());
    for (;;) {
      last += 1;
      const value = Buffer.from(String(last));
      const commit = await store.transact({
        operations: [
          { kind: 'put', key: `a/${writer}`, value },
          { kind: 'put', key: `log/${writer}/${last}`, value: Buffer.alloc(200 * writer, 'x') },
          { kind: 'delete', key: `log/${writer}/${last - KEPT}` },
          { kind: 'put', key: `b/${writer}`, value },
        ],
      });
      if (!commit.committed) throw new Error('a transaction without conditions was refused');
      // Synchronous: in the pipe, hence with the reader, whatever happens to this process next.
      writeSync(1, `${writer} ${last} ${commit.revision}\n`);
    }
  };
  await Promise.all(Array.from({ length: WRITERS }, (_, writer) => write(writer)));
}
