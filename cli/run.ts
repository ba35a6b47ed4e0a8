import { exitCodes, Exit } from './exit.ts';

/** Milliseconds after the first signal at which a command that has not ended is ended. */
const PATIENCE = 5_000;

/**
 * Runs a long-running command until it returns or a signal comes: SIGTERM is the ordinary end (0), SIGINT an
 * interruption (130); a second signal ends at once.
 */
export async function untilSignal(
  run: (signal: AbortSignal) => Promise<void>,
  patience: number = PATIENCE,
): Promise<void> {
  const controller = new AbortController();
  let code: number = exitCodes.done;
  const stop = (name: NodeJS.Signals) => {
    if (name === 'SIGINT') code = exitCodes.interrupted;
    if (controller.signal.aborted) process.exit(code === exitCodes.done ? exitCodes.failed : code);
    setTimeout(() => process.exit(exitCodes.failed), patience).unref();
    controller.abort(new Exit(code));
  };
  process.on('SIGTERM', stop);
  process.on('SIGINT', stop);
  try {
    await run(controller.signal);
  } catch (error) {
    if (!controller.signal.aborted || error !== controller.signal.reason) throw error;
  } finally {
    process.off('SIGTERM', stop);
    process.off('SIGINT', stop);
  }
  // What is left open by a library must not keep a command alive that has ended cleanly.
  process.exit(code);
}

/** The one line on standard output that says a long-running command serves. */
export function printReady(component: string, fields: Readonly<Record<string, unknown>>): void {
  process.stdout.write(`${JSON.stringify({ msg: 'ready', component, ...fields })}\n`);
}
