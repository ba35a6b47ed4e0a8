import type { ApplyResponse, ApplyResult, ManifestsRequest } from '../../hub/api/types.ts';
import { HeadgateError } from '../../lib/errors.ts';
import { type HubClient, connectHub, pathOf, remoteError } from '../client.ts';
import { Exit, exitCode, exitCodes } from '../exit.ts';
import type { Globals } from '../globals.ts';
import { printJson, stdout } from '../output.ts';
import { type ManifestFile, readManifests } from '../manifest-files.ts';
import { unifiedDiff } from '../unified-diff.ts';
import { stringify } from 'yaml';

export interface FileFlags {
  readonly filename: readonly string[];
  readonly output?: 'json' | 'name';
  readonly dryRun?: 'server';
}

export type Verb = 'apply' | 'diff' | 'delete';

/**
 * Every file on its own and every object on its own: what is wrong with one is one line on standard error and
 * stops no other.
 */
export async function writeObjects(verb: Verb, flags: FileFlags, globals: Globals): Promise<void> {
  const files = await readManifests(flags.filename);
  const hub = await connectHub(globals);
  const results: ApplyResult[] = [];
  let code: number = exitCodes.done;
  for (const file of files) {
    try {
      results.push(...(await send(hub, verb, file, flags.dryRun === 'server')));
    } catch (error) {
      code = Math.max(code, complain(error, globals));
    }
  }
  for (const result of results) {
    if (result.error !== null) code = Math.max(code, complain(remoteError(result.error), globals));
  }
  if (verb === 'diff') {
    for (const result of results) printDiff(result);
    const differs = results.some((result) => result.action === 'created' || result.action === 'configured');
    // As kubectl: 0 nothing, 1 something would change, more than 1 an error.
    if (code !== exitCodes.done) throw new Exit(exitCodes.usage);
    if (differs) throw new Exit(1);
    return;
  }
  if (flags.output === 'json') printJson(stdout, { items: results });
  else {
    for (const { object, action, revision } of results) {
      if (action === 'failed') continue;
      if (flags.output === 'name') stdout.write(`${object}\n`);
      else stdout.write(`${object} ${action}${revision === null ? '' : ` (revision ${revision})`}\n`);
    }
  }
  if (code !== exitCodes.done) throw new Exit(code);
}

async function send(hub: HubClient, verb: Verb, file: ManifestFile, dryRun: boolean): Promise<readonly ApplyResult[]> {
  const body: ManifestsRequest = { manifests: file.text, source: file.name, dryRun: dryRun || verb === 'diff' };
  const path = pathOf(verb === 'delete' ? 'delete' : 'apply');
  return (await hub.call<ApplyResponse>('POST', path, { body })).results;
}

function complain(thrown: unknown, globals: Globals): number {
  const error = HeadgateError.from(thrown);
  process.stderr.write(`${globals.verbose === true ? error.chain() : error.line()}\n`);
  return exitCode(error);
}

function printDiff({ object, before, after }: ApplyResult): void {
  const text = unifiedDiff(`hub/${object}`, `file/${object}`, yaml(before), yaml(after));
  if (text !== '') stdout.write(text);
}

function yaml(value: unknown): string {
  return value === null ? '' : stringify(value, { lineWidth: 0 });
}
