import { CommanderError } from 'commander';
import { HeadgateError } from '../lib/errors.ts';
import { Exit, exitCode, exitCodes } from './exit.ts';
import { createProgram } from './program.ts';

const verbose = process.argv.some((argument) => argument === '-v' || argument === '--verbose');

// A reader that has seen enough (`| head`) is not a failure.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  process.exit(error.code === 'EPIPE' ? exitCodes.done : exitCodes.failed);
});
process.on('uncaughtException', (error) => process.exit(report(error)));

const program = createProgram();
try {
  await program.parseAsync(process.argv);
} catch (error) {
  process.exit(report(error));
}

/** One line on standard error; the cause chain with -v. @returns the exit code. */
function report(thrown: unknown): number {
  if (thrown instanceof Exit) return thrown.code;
  if (thrown instanceof CommanderError) {
    // Help and version were asked for and printed.
    if (thrown.exitCode === 0) return exitCodes.done;
    process.stderr.write(`${usage(thrown).line()}\n`);
    return exitCodes.usage;
  }
  const error = HeadgateError.from(thrown);
  process.stderr.write(`${verbose ? error.chain() : error.line()}\n`);
  return exitCode(error);
}

function usage(error: CommanderError): HeadgateError {
  const message = error.message
    .replace(/^error: /, '')
    .replace(/\.$/, '')
    .replaceAll('\n', ' ');
  return new HeadgateError('HG2001', message === '(outputHelp)' ? 'a command is missing' : message, {
    remedy: `see ${typed()} --help`,
  });
}

/** The command as far as it was typed rightly, such as "headgate cluster add". */
function typed(): string {
  let command = program;
  const names = [program.name()];
  for (const word of process.argv.slice(2)) {
    const next = command.commands.find((each) => each.name() === word);
    if (next === undefined && !word.startsWith('-')) break;
    if (next === undefined) continue;
    command = next;
    names.push(word);
  }
  return names.join(' ');
}
