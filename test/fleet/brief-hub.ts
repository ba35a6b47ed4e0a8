import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { runHub } from '../../hub/hub.ts';
import { systemClock } from '../../lib/clock.ts';
import { parseAddress } from '../../lib/config/address.ts';
import { defaultLifetimes } from '../../lib/identity/authority.ts';
import { silentLog } from '../../lib/log.ts';

// A hub whose control certificates live as many seconds as its argument says.

const flag = { type: 'string' } as const;
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { data: flag, grpc: flag, http: flag, ops: flag },
});
const { data = '', grpc = '', http = '', ops = '' } = values;
const control = Number(positionals[0]) * 1_000;
await runHub(
  {
    data,
    store: { kind: 'embedded', folder: data },
    kekFile: join(data, 'kek.key'),
    grpc: parseAddress(grpc),
    http: parseAddress(http),
    ops: parseAddress(ops),
    tokens: [],
    lifetimes: { ...defaultLifetimes, control },
  },
  {
    log: silentLog,
    clock: systemClock,
    signal: new AbortController().signal,
    ready: (fields) => process.stdout.write(`${JSON.stringify({ msg: 'ready', ...fields })}\n`),
  },
);
