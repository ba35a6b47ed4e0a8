import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { parse } from 'yaml';
import { HeadgateError } from '../lib/errors.ts';
import { type HubContext, clientConfigSchema } from '../lib/config/client-config.ts';
import type { Globals } from './globals.ts';

/**
 * Finds the hub to talk to: --config, HEADGATE_CONFIG, then ~/.config/headgate/config.yaml; of its contexts the
 * one that --context names, else the current one.
 * @throws HeadgateError HG2003 unreadable, HG1001 or HG1002 malformed, HG2007 no such context
 */
export async function loadContext(globals: Globals): Promise<HubContext> {
  const path = globals.config ?? variable('HEADGATE_CONFIG') ?? join(configHome(), 'headgate', 'config.yaml');
  const config = clientConfigSchema.safeParse(await readDocument(path));
  if (!config.success) {
    const issue = config.error.issues[0];
    throw new HeadgateError('HG1002', issue?.message ?? 'malformed', {
      object: path,
      ...(issue === undefined ? {} : { field: issue.path.join('.') }),
      remedy: 'copy admin.yaml from the data folder of the hub again',
    });
  }
  const { contexts, current } = config.data;
  const wanted = globals.context ?? current;
  const found = contexts.find((context) => context.name === wanted);
  if (found === undefined) {
    throw new HeadgateError('HG2007', `${path} has no context "${wanted}"`, {
      remedy: `choose one of ${contexts.map((context) => context.name).join(', ')}`,
    });
  }
  return found;
}

function configHome(): string {
  return variable('XDG_CONFIG_HOME') ?? join(homedir(), '.config');
}

/** An environment variable; set to nothing is not set. */
function variable(name: string): string | undefined {
  const value = process.env[name];
  return value === '' ? undefined : value;
}

async function readDocument(path: string): Promise<unknown> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    throw new HeadgateError('HG2003', `cannot read the client configuration ${path}`, {
      remedy: 'give --config or HEADGATE_CONFIG; the hub writes admin.yaml into its data folder at its first start',
      cause: error,
    });
  }
  try {
    return parse(text);
  } catch (error) {
    throw new HeadgateError('HG1001', `${path} is not YAML`, {
      remedy: 'copy admin.yaml from the data folder of the hub again',
      cause: error,
    });
  }
}
