import { userInfo } from 'node:os';
import { z } from 'zod';
import { auditRecord } from '../../hub/api/audit.ts';
import { beginEpoch } from '../../hub/store/begin-epoch.ts';
import { systemClock } from '../../lib/clock.ts';
import { HeadgateError } from '../../lib/errors.ts';
import { silentLog } from '../../lib/log.ts';
import { parseFlags } from '../flags.ts';
import { storeChoice, storeFlags } from '../store-flags.ts';

const epochFlags = z.object({
  ...storeFlags,
  data: z.string().min(1).optional(),
  new: z.boolean().default(false),
});

/** Works on the store itself: no API could be asked, and none has to be. Hubs on etcd may run meanwhile. */
export async function storeEpoch(given: unknown): Promise<void> {
  const flags = parseFlags(epochFlags, given);
  if (!flags.new) {
    throw new HeadgateError('HG2001', '--new is missing', {
      remedy: 'give --new to begin a new epoch, after a backup was put back',
    });
  }
  const store = await storeChoice(flags, flags.data);
  const caller = { name: `local:${userInfo().username}`, role: 'admin' } as const;
  const epoch = await beginEpoch({
    store,
    clock: systemClock,
    log: silentLog,
    record: ({ counter }) => auditRecord(systemClock, caller, `began epoch ${counter}`),
  });
  process.stdout.write(
    `epoch ${epoch.counter} began; ${store.kind === 'etcd' ? 'hubs and agents' : 'start the hub, agents'} take what it holds from now on\n`,
  );
}
