import { stat } from 'node:fs/promises';

import { assertFree } from '../lib/config/listen.ts';
import { HeadgateError } from '../lib/errors.ts';
import { probeHaproxy } from './haproxy/process/probe.ts';
import { IdentityFiles } from './identity/identity-files.ts';
import type { AgentOptions } from './options.ts';

/**
 * Looks at what would stop this agent before it makes, asks or starts anything: a join token is not used up, and no
 * HAProxy left behind, by an agent that cannot run here. At the first start that is everything given by flags;
 * later a folder of manifests may be away for a while and the last good state serves.
 *
 * @throws HG2001 no such source, HG2002 address taken, HG2003 data folder, HG5001 HAProxy
 */
export async function preflight(options: AgentOptions): Promise<void> {
  await assertFree(options.ops, 'ops');
  if (options.roles.has('node')) await probeHaproxy(options.haproxy);
  if ((await new IdentityFiles(options.data).load()) !== undefined) return;
  if (options.source?.kind === 'directory') await assertFolder(options.source.folder);
  if (options.listenNodes !== undefined) await assertFree(options.listenNodes, 'nodes');
  // One that somebody else started may listen there already.
  if (!options.roles.has('node') || options.haproxyExternal) return;
  await assertFree(options.listenHttp, 'the http listener');
  await assertFree(options.listenHttps, 'the https listener');
  await assertFree(options.listenGateway, 'the gateway listener');
}

async function assertFolder(folder: string): Promise<void> {
  const found = await stat(folder).catch(() => undefined);
  if (found?.isDirectory() === true) return;
  throw new HeadgateError(
    'HG2001',
    `--source directory:${folder} is ${found === undefined ? 'not there' : 'not a folder'}`,
    { remedy: 'make it, or give the folder that holds the manifests' },
  );
}
