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
import type { Command } from 'commander';

export const hubFlags = z.object({
  data: z.string().min(1),
  store: z.string(),
  grpc: address,
  http: address,
  ops: address,
  tokens: operatorTokens.default([]),
  policies: z.literal('kubernetes').optional(),
  kubeconfig: z.string().min(1).optional(),
});

export async function hub(globals: Globals, command: Command): Promise<void> {
  const { store, policies, kubeconfig, ...options } = parseFlags(
    hubFlags,
    await withConfigFile(command, globals.config, ['tokens']),
  );
  if (store !== 'embedded') {
    const known = store.startsWith('etcd:');
    throw new HeadgateError('HG2001', known ? '--store etcd is not in this release' : `--store ${store} is unknown`, {
      remedy: 'use --store embedded',
    });
  }
  if (policies === undefined && kubeconfig !== undefined) {
    throw new HeadgateError('HG2001', '--kubeconfig has no meaning without --policies kubernetes', {
      remedy: 'add --policies kubernetes, or leave it out',
    });
  }
  await untilSignal(async (signal) => {
    await runHub(
      { ...options, policies: policies === undefined ? undefined : { kubeconfig } },
      {
        log: createLog('hub', globals.verbose === true ? 'debug' : 'info'),
        clock: systemClock,
        signal,
        ready: (fields) => printReady('hub', fields),
      },
    );
  });
}
