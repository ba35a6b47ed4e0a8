import type { Op, OwnedOp } from '../model/change.ts';
import type { MapName } from '../model/names.ts';
import { askOnce } from '../process/master.ts';
import { commandsForOp } from '../render/commands.ts';
import { encodeCommand } from './command.ts';

/**
 * Maps that say who may do what. A worker that a reload left to end its connections follows their changes as long as
 * it lives; of all else it keeps what it had. It takes no new connections, so certificates are not among it.
 */
const followedMaps: ReadonlySet<MapName> = new Set<MapName>(['peer', 'gateway']);

/** Milliseconds; these workers have little to do. */
const PATIENCE = 2_000;

/** What of a change old workers are to follow, as they are to be told it. */
export function followed(ops: readonly OwnedOp[]): readonly string[] {
  // No servers are among them.
  return ops
    .map(({ op }) => op)
    .filter((op) => isFollowed(op))
    .flatMap((op) => commandsForOp(op, 'sni'))
    .map((command) => encodeCommand(command));
}

/**
 * Tells workers on their way out through their master, which alone still reaches them. A map that one of them does not
 * have yet, or a key that it never had, is none of its concern.
 *
 * @throws the socket's error.
 */
export async function tellOldWorkers(
  master: string,
  workers: readonly number[],
  commands: readonly string[],
): Promise<void> {
  for (const worker of workers) {
    for (const command of commands) await askOnce(master, `@!${worker} ${command}`, PATIENCE);
  }
}

function isFollowed(op: Op): boolean {
  return (op.kind === 'map-set' || op.kind === 'map-delete') && followedMaps.has(op.map);
}
