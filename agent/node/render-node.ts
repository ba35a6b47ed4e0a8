import { join } from 'node:path';

import type { Clock } from '../../lib/clock.ts';
import { Authority, defaultLifetimes } from '../../lib/identity/authority.ts';
import { makeKeyAndCsr } from '../../lib/identity/key.ts';
import type { Log } from '../../lib/log.ts';
import { makeFolder } from '../../lib/make-folder.ts';
import type { GatewayCredentials } from '../haproxy/data-plane.ts';
import { renderDataPlane } from '../haproxy/haproxy-data-plane.ts';
import { IdentityFiles } from '../identity/identity-files.ts';
import { openLedger } from '../ledger/open-ledger.ts';
import type { AgentOptions } from '../options.ts';
import { dataPlaneOptions, type NodeFlags } from './data-plane-options.ts';

/**
 * Lays out what a HAProxy that somebody else starts begins with: the last good resources of the ledger, or none.
 *
 * @throws HeadgateError HG2003 data folder, or in use by an agent; HG5001 HAProxy; HG5002 it refuses the files
 */
export async function renderNode(
  flags: NodeFlags & Pick<AgentOptions, 'data' | 'keyFile'>,
  around: { readonly clock: Clock; readonly log: Log; readonly signal: AbortSignal },
): Promise<void> {
  const { data, keyFile = join(data, 'key') } = flags;
  const log = around.log.with({ cluster: flags.cluster, node: flags.node });
  await makeFolder(data);
  await using ledger = await openLedger({ folder: join(data, 'ledger'), keyFile, log });
  const identity = await new IdentityFiles(data).load();
  const gateway = identity?.gateway ?? (await nobody(flags.cluster, around.clock));
  const options = dataPlaneOptions(flags, join(data, 'haproxy'), true, gateway);
  const verdicts = await renderDataPlane(options, { ...around, log }, ledger.inventory);
  for (const verdict of verdicts) {
    if (verdict.programmed) continue;
    const { key, code, field, message, haproxy, remedy } = verdict;
    log.warn('rejected', { resource: `${key.type}/${key.name}`, code, field, reason: message, haproxy, remedy });
  }
  log.info('rendered', { folder: options.folder, resources: verdicts.length, ledger: ledger.loaded.from });
}

/** Stands in for the gateway's credentials until the first enrolment: its CA's key is thrown away, so it trusts nobody. */
async function nobody(cluster: string, clock: Clock): Promise<GatewayCredentials> {
  const now = clock.wall();
  const authority = await Authority.create('Headgate gateway CA', cluster, now);
  const { csr, privateKey } = await makeKeyAndCsr();
  const certificate = await authority.issueGateway(cluster, { csr, now, lifetime: defaultLifetimes.gateway });
  return { certificate, privateKey, ca: authority.pem.certificate };
}
