import { setTimeout as sleep } from 'node:timers/promises';
import type { KindListResponse } from '../../hub/api/types.ts';
import { HeadgateError } from '../../lib/errors.ts';
import { type HubClient, connectHub, pathOf } from '../client.ts';
import { columnsOf, nameOf } from '../columns.ts';
import type { Globals } from '../globals.ts';
import { type Format, printJson, printTable, stdout } from '../output.ts';
import { printYaml } from '../print-yaml.ts';

export interface GetFlags {
  readonly namespace?: string;
  readonly allNamespaces?: true;
  readonly output?: Format;
  readonly watch?: true;
}

/** Milliseconds between two looks of --watch. */
const WATCH_INTERVAL = 1_000;

export async function get(kind: string, name: string | undefined, flags: GetFlags, globals: Globals): Promise<void> {
  if (flags.namespace !== undefined && flags.allNamespaces === true) {
    throw new HeadgateError('HG2001', '-n and -A exclude each other', { remedy: 'give one of them' });
  }
  const hub = await connectHub(globals);
  if (flags.watch === true) return await watch(hub, kind, name, flags);
  const list = await fetchList(hub, kind, name, flags.namespace);
  if (name !== undefined && list.items.length === 0) {
    throw new HeadgateError('HG2007', `${list.kind} has no "${name}"`, { remedy: `see headgate get ${kind}` });
  }
  print(list, flags.output ?? 'table', name !== undefined && list.items.length === 1);
}

async function fetchList(
  hub: HubClient,
  kind: string,
  name: string | undefined,
  namespace: string | undefined,
): Promise<KindListResponse> {
  return await hub.call<KindListResponse>('GET', pathOf('get', kind), { query: { name, namespace } });
}

/** One named object alone is printed as itself, as kubectl does. */
function print({ kind, items }: KindListResponse, format: Format, single: boolean): void {
  switch (format) {
    case 'json':
      return printJson(stdout, single ? items[0] : { items });
    case 'yaml':
      return printYaml(stdout, single ? items[0] : { items });
    case 'name':
      for (const item of items) stdout.write(`${kind}/${nameOf(kind, item)}\n`);
      return undefined;
    case 'table':
    case 'wide':
      return printTable(stdout, columnsOf(kind), items, format === 'wide');
    default:
      return format satisfies never;
  }
}

/** Prints every item once, then those that changed; ages alone are no change. A hub that goes is waited for. */
async function watch(hub: HubClient, kind: string, name: string | undefined, flags: GetFlags): Promise<void> {
  const format = flags.output ?? 'table';
  const seen = new Map<string, string>();
  for (let first = true; ; first = false) {
    try {
      const list = await fetchList(hub, kind, name, flags.namespace);
      const fresh = list.items.filter((item) => {
        const [key, state] = [nameOf(list.kind, item), JSON.stringify({ ...item, age_s: undefined })];
        if (seen.get(key) === state) return false;
        seen.set(key, state);
        return true;
      });
      if (format === 'json') for (const item of fresh) stdout.write(`${JSON.stringify(item)}\n`);
      else if (first || fresh.length > 0) print({ ...list, items: fresh }, format, false);
    } catch (error) {
      if (first || HeadgateError.from(error).code !== 'HG3001') throw error;
    }
    await sleep(WATCH_INTERVAL);
  }
}
