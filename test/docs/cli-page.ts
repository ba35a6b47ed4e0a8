import type { Command } from 'commander';
import { layout } from '../../cli/output.ts';
import { everyCommand } from './commands.ts';

/** One run of a command: what was typed, and what it printed. */
export interface Example {
  readonly typed: string;
  readonly printed: string;
}

const head = `# Commands

\`headgate COMMAND --help\` says the same. Every command also takes \`--config FILE\` (for \`hub\` and \`agent\` their own settings, for the others how to reach a hub; else \`HEADGATE_CONFIG\`, else \`~/.config/headgate/config.yaml\`), \`--context NAME\` and \`-v\`, which adds the chain of causes to an error.

Results go to standard output, errors to standard error: one line each, with a [code](errors.md), what is wrong and how to mend it. Exit codes: 0 done, 1 failed, 2 wrong usage or bad input, 130 interrupted. Tables are aligned on a terminal and tab-separated elsewhere; \`-o json\` is stable.

This page is written by \`UPDATE_DOCS=1 npx vitest run test/docs\`: flags from the program, examples from a run of the README's tour.
`;

/** @param examples by the command's path. */
export function cliPage(examples: ReadonlyMap<string, Example>): string {
  return [head, ...everyCommand().map(({ path, command }) => entry(path, command, examples.get(path)))].join('\n');
}

function entry(path: string, command: Command, example: Example | undefined): string {
  const usage = ['headgate', path, ...command.registeredArguments.map((argument) => argumentText(argument))].join(' ');
  const flags = command.options.filter((option) => !option.hidden);
  const lines = [`## ${path}`, '', `\`${usage}\`: ${command.description()}.`, ''];
  if (flags.length > 0) {
    for (const option of flags) {
      const choices = option.argChoices === undefined ? '' : `one of ${option.argChoices.join(', ')}`;
      const given = option.defaultValue === undefined ? '' : `default \`${String(option.defaultValue)}\``;
      const meaning = [option.description, choices, given].filter((text) => text !== '').join('; ');
      lines.push(`- \`${option.flags}\`${option.mandatory ? ' (required)' : ''}: ${meaning}`);
    }
    lines.push('');
  }
  if (example !== undefined) {
    const printed = aligned(example.printed.trimEnd());
    lines.push('```', `$ ${example.typed}`, ...(printed === '' ? [] : [printed]), '```', '');
  }
  return lines.join('\n');
}

function argumentText(argument: Command['registeredArguments'][number]): string {
  const text = `${argument.name().toUpperCase()}${argument.variadic ? '…' : ''}`;
  return argument.required ? text : `[${text}]`;
}

/** Tables as a terminal shows them. */
function aligned(text: string): string {
  const lines = text.split('\n');
  const table = layout(
    lines.filter((line) => line.includes('\t')).map((line) => line.split('\t')),
    true,
  );
  return lines.map((line) => (line.includes('\t') ? (table.shift() ?? '') : line)).join('\n');
}
