import { readFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { HeadgateError } from '../lib/errors.ts';

/**
 * Options of a long-running command: its flags over the file that --config names, whose keys are the flags'
 * names without dashes in front. What is neither a flag's name nor in `extra` is refused.
 *
 * @throws HeadgateError HG2003, HG1001, HG1002
 */
export async function withConfigFile(
  command: Command,
  file: string | undefined,
  extra: readonly string[] = [],
): Promise<Readonly<Record<string, unknown>>> {
  const flags = command.opts<Record<string, unknown>>();
  if (file === undefined) return flags;
  const known = new Map(command.options.map((option) => [option.long?.slice(2) ?? '', option.attributeName()]));
  const merged: Record<string, unknown> = { ...flags };
  for (const [name, value] of Object.entries(await readMapping(file))) {
    const attribute = known.get(name) ?? (extra.includes(name) ? name : undefined);
    if (attribute === undefined) {
      throw new HeadgateError('HG1002', 'no such setting', {
        object: file,
        field: JSON.stringify(name).slice(1, -1),
        remedy: `known are ${[...known.keys(), ...extra].sort().join(', ')}`,
      });
    }
    const source = command.getOptionValueSource(attribute);
    if (source === undefined || source === 'default') merged[attribute] = value;
  }
  return merged;
}

async function readMapping(file: string): Promise<Record<string, unknown>> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (error) {
    throw new HeadgateError('HG2003', `cannot read the configuration ${file}`, { cause: error });
  }
  let value: unknown;
  try {
    // Few give a file, and every process would hold the parser.
    value = (await import('yaml')).parse(text);
  } catch (error) {
    throw new HeadgateError('HG1001', `${file} is not YAML`, { remedy: 'see -v for the place', cause: error });
  }
  if (value === null || value === undefined) return {};
  if (typeof value !== 'object' || Array.isArray(value)) {
    throw new HeadgateError('HG1002', `${file} is not a mapping`, { remedy: 'write one setting a line: name: value' });
  }
  return value as Record<string, unknown>;
}
