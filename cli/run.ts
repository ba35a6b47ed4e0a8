import { exitCodes, Exit } from './exit.ts';

/** Milliseconds: a hub or an agent ends within two seconds. */
export const PATIENCE = 5_000;

export interface RunOptions {
  /** Milliseconds after the first signal at which the command is ended. */
  readonly patience?: number;
  /** For a command that works for one terminal: it ends when the terminal or the reader of its output goes. */
  readonly attached?: boolean;
}

/**
 * Runs a long-running command until it returns or a signal comes: SIGTERM is the ordinary end (0), SIGINT an
 * interruption (130); a second signal ends at once.
 */
export async function untilSignal(
  run: (signal: AbortSignal) => Promise<void>,
  { patience = PATIENCE, attached = false }: RunOptions = {},
): Promise<void> {
  const controller = new AbortController();
  let code: number = exitCodes.done;
  const stop = (name: NodeJS.Signals): void => {
    if (name === 'SIGINT') code = exitCodes.interrupted;
    if (controller.signal.aborted) process.exit(code === exitCodes.done ? exitCodes.failed : code);
    setTimeout(() => process.exit(exitCodes.failed), patience).unref();
    controller.abort(new Exit(code));
  };
  const lostReader = (): void => {
    if (attached && !controller.signal.aborted) stop('SIGHUP');
  };
  const signals: readonly NodeJS.Signals[] = attached ? ['SIGTERM', 'SIGINT', 'SIGHUP'] : ['SIGTERM', 'SIGINT'];
  for (const name of signals) process.on(name, stop);
  // In place of the program's own answer, which ends a short command at once.
  process.stdout.removeAllListeners('error').on('error', lostReader);
  try {
    await run(controller.signal);
  } catch (error) {
    // What was waited for is cut off with the reason, or with an AbortError of its own that only names it.
    const ended = error === controller.signal.reason || (error instanceof Error && error.name === 'AbortError');
    if (!controller.signal.aborted || !ended) throw error;
  } finally {
    for (const name of signals) process.off(name, stop);
  }
  // What is left open by a library must not keep a command alive that has ended cleanly.
  process.exit(code);
}

/** The one line on standard output that says a long-running command serves. */
export function printReady(component: string, fields: Readonly<Record<string, unknown>>): void {
  process.stdout.write(`${JSON.stringify({ msg: 'ready', component, ...fields })}\n`);
}
