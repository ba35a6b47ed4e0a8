import { join } from 'node:path';
import { z } from 'zod';
import { operatorTokens } from '../../hub/api/operator-tokens.ts';
import { runHub } from '../../hub/hub.ts';
import { systemClock } from '../../lib/clock.ts';
import { HeadgateError } from '../../lib/errors.ts';
import { createLog } from '../../lib/log.ts';
import { withConfigFile } from '../config-file.ts';
import { address, parseFlags } from '../flags.ts';
import type { Globals } from '../globals.ts';
import { printReady, untilSignal } from '../run.ts';
import { storeChoice, storeFlags } from '../store-flags.ts';
import type { Command } from 'commander';

export const hubFlags = z.object({
  ...storeFlags,
  kekFile: z.string().min(1).optional(),
  data: z.string().min(1),
  grpc: address,
  http: address,
  ops: address,
  tokens: operatorTokens.default([]),
  policies: z.literal('kubernetes').optional(),
  kubeconfig: z.string().min(1).optional(),
});

export async function hub(globals: Globals, command: Command): Promise<void> {
  const { policies, kubeconfig, data, kekFile, grpc, http, ops, tokens, ...flags } = parseFlags(
    hubFlags,
    await withConfigFile(command, globals.config, ['tokens']),
  );
  if (policies === undefined && kubeconfig !== undefined) {
    throw new HeadgateError('HG2001', '--kubeconfig has no meaning without --policies kubernetes', {
      remedy: 'add --policies kubernetes, or leave it out',
    });
  }
  const store = await storeChoice(flags, data);
  if (store.kind === 'etcd' && kekFile === undefined) {
    throw new HeadgateError('HG2001', '--kek-file is missing: hubs on etcd share the key that seals the private keys', {
      remedy: 'make one file for all hubs of the fleet: openssl rand -base64 32 > FILE',
    });
  }
  await untilSignal(async (signal) => {
    await runHub(
      {
        data,
        store,
        kekFile: kekFile ?? join(data, 'kek.key'),
        grpc,
        http,
        ops,
        tokens,
        policies: policies === undefined ? undefined : { kubeconfig },
      },
      {
        log: createLog('hub', globals.verbose === true ? 'debug' : 'info'),
        clock: systemClock,
        signal,
        ready: (fields) => printReady('hub', fields),
      },
    );
  });
}
