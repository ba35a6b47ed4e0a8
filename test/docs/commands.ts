import type { Command } from 'commander';
import { createProgram } from '../../cli/program.ts';

export interface DocumentedCommand {
  /** As typed after `headgate`. */
  readonly path: string;
  readonly command: Command;
}

/** Every command that does something by itself, in the order of the help. */
export function everyCommand(): readonly DocumentedCommand[] {
  const found: DocumentedCommand[] = [];
  const walk = (command: Command, path: readonly string[]): void => {
    const below = command.commands.filter((one) => one.name() !== 'help');
    // "agent" runs by itself and has "stop" below it; "cluster" only holds others.
    if (path.length > 0 && (below.length === 0 || command.options.length > 0)) {
      found.push({ path: path.join(' '), command });
    }
    for (const one of below) walk(one, [...path, one.name()]);
  };
  walk(createProgram(), []);
  return found;
}

/**
 * What is wrong with a command line of the documentation; undefined where the command and each of its flags exist.
 * @param words after `headgate`.
 */
export function faultOf(words: readonly string[]): string | undefined {
  let command = createProgram();
  const known = [...command.options];
  let rest = [...words];
  for (;;) {
    const next = command.commands.find((one) => one.name() === rest[0]);
    if (next === undefined) break;
    command = next;
    known.push(...command.options);
    rest = rest.slice(1);
  }
  if (command.parent === null && rest[0]?.startsWith('-') !== true) return `there is no command ${rest[0] ?? ''}`;
  const [argument] = rest;
  if (command.commands.length > 0 && argument !== undefined && !argument.startsWith('-')) {
    return `${command.name()} has no ${argument}`;
  }
  for (const word of rest) {
    const flag = /^--?[a-zA-Z][\w-]*/.exec(word)?.[0];
    if (flag === undefined || flag === '--help') continue;
    if (!known.some(({ long, short }) => long === flag || short === flag)) return `${command.name()} has no ${flag}`;
  }
  return undefined;
}
