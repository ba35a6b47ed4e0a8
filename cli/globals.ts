import type { Command } from 'commander';

/** Options that every command takes. */
export interface Globals {
  readonly config?: string;
  readonly context?: string;
  readonly verbose?: boolean;
}

export function globals(command: Command): Globals {
  return command.optsWithGlobals<Globals>();
}
