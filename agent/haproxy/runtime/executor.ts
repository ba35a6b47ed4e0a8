import type { Clock } from '../../../lib/clock.ts';
import type { Op, OwnedOp } from '../model/change.ts';
import { commandsFor, deleteServer, setServerState, shutdownSessions, weighServer } from '../render/commands.ts';
import type { OwnedCommand } from '../render/commands.ts';
import type { PoolName } from '../render/reuse.ts';
import type { ResourceKey } from '../../../lib/sync/index.ts';
import type { Desired } from '../model/desired.ts';
import type { RuntimeClient } from './client.ts';
import { isOfMap, mapsToReplace, replaceMap } from './replace-map.ts';

export interface Failure {
  readonly resource: ResourceKey | undefined;
  readonly command: string;
  /** HAProxy's own. */
  readonly words: string;
}

interface Draining {
  readonly backend: string;
  readonly name: string;
  readonly since: number;
  dueAt: number;
  wait: number;
}

/** Waits between attempts to delete a drained server, in milliseconds. */
const FIRST_WAIT = 1_000;
const LONGEST_WAIT = 30_000;
/** What still runs after this is ended: the time a reload gives old workers. */
const END_AFTER = 600_000;

/**
 * Runs operations on a worker. Servers that go are put into maintenance at once and deleted when their streams
 * have ended, which nothing else waits for.
 */
export class Executor {
  readonly #client: RuntimeClient;
  readonly #clock: Clock;
  readonly #draining = new Map<string, Draining>();
  readonly #desired: Pick<Desired, 'maps'>;
  /** Long maps are slow to change: they are then replaced by what they should hold. */
  slowMaps = false;
  /** What the worker calls the option. */
  poolName: PoolName = 'sni';

  constructor(client: RuntimeClient, clock: Clock, desired: Pick<Desired, 'maps'>) {
    this.#client = client;
    this.#clock = clock;
    this.#desired = desired;
  }

  /** When the next drained server is due, on the clock; `undefined` when none is. */
  get dueAt(): number | undefined {
    return this.#draining.size === 0 ? undefined : Math.min(...[...this.#draining.values()].map(({ dueAt }) => dueAt));
  }

  /** @throws HG5003 where the worker went away. */
  async run(ops: readonly OwnedOp[]): Promise<readonly Failure[]> {
    const desired = this.#desired;
    const replaced = this.slowMaps ? mapsToReplace(ops, desired) : undefined;
    if (replaced === undefined || replaced.size === 0) return await this.#runEach(ops);
    const failures: Failure[] = [];
    let ordinary: OwnedOp[] = [];
    for (const owned of ops) {
      const map = isOfMap(owned) ? owned.op.map : undefined;
      const together = map === undefined ? undefined : replaced.get(map);
      if (map === undefined || together === undefined) {
        ordinary.push(owned);
        continue;
      }
      // In the place of the first; what is deleted later otherwise goes with it.
      if (owned !== together[0]) continue;
      failures.push(...(await this.#runEach(ordinary)));
      ordinary = [];
      const refused = await replaceMap(this.#client, map, desired.maps[map]);
      if (refused === undefined) continue;
      const owners = new Set(together.map(({ resource }) => resource));
      failures.push(...[...owners].map((resource) => ({ resource, ...refused })));
    }
    return [...failures, ...(await this.#runEach(ordinary))];
  }

  async #runEach(ops: readonly OwnedOp[]): Promise<readonly Failure[]> {
    const commands = this.#commands(ops);
    const replies = await this.#client.send(commands.map(({ command }) => command));
    return replies.flatMap(({ ok, command, text }, i) =>
      ok ? [] : [{ resource: commands[i]?.resource, command: headOf(command.text), words: text }],
    );
  }

  /** Deletes drained servers that are due. */
  async deleteDrained(): Promise<void> {
    const now = this.#clock.now();
    const due = [...this.#draining].filter(([, { dueAt }]) => dueAt <= now);
    const replies = await this.#client.send(due.map(([, { backend, name }]) => deleteServer(backend, name)));
    const late: Draining[] = [];
    for (const [i, [key, server]] of due.entries()) {
      const reply = replies[i];
      if (reply?.ok === true || reply?.text === 'No such server.') {
        this.#draining.delete(key);
        continue;
      }
      server.wait = Math.min(server.wait * 2, LONGEST_WAIT);
      server.dueAt = now + server.wait;
      if (now - server.since > END_AFTER) late.push(server);
    }
    await this.#client.send(late.map(({ backend, name }) => shutdownSessions(backend, name)));
  }

  /** Takes over what is in maintenance: another agent, or a worker before this one, may have put it there. */
  takeOver(servers: Iterable<{ readonly backend: string; readonly name: string }>): void {
    const known = new Map(this.#draining);
    this.#draining.clear();
    for (const { backend, name } of servers) {
      const before = known.get(keyOf(backend, name));
      if (before === undefined) this.#drain(backend, name);
      else this.#draining.set(keyOf(backend, name), before);
    }
  }

  #commands(ops: readonly OwnedOp[]): OwnedCommand[] {
    const commands: OwnedCommand[] = [];
    let ordinary: OwnedOp[] = [];
    for (const owned of ops) {
      const back = this.#comesBack(owned.op);
      if (owned.op.kind === 'server-remove') this.#drain(owned.op.backend, owned.op.server.name);
      if (back === undefined) {
        ordinary.push(owned);
        continue;
      }
      commands.push(
        ...commandsFor(ordinary, this.poolName),
        ...back.map((command) => ({ command, resource: owned.resource })),
      );
      ordinary = [];
    }
    commands.push(...commandsFor(ordinary, this.poolName));
    return commands;
  }

  #comesBack(op: Op) {
    if (op.kind !== 'server-add' || !this.#draining.delete(keyOf(op.backend, op.server.name))) return undefined;
    return [weighServer(op.backend, op.server), setServerState(op.backend, op.server.name, 'ready')];
  }

  #drain(backend: string, name: string): void {
    const since = this.#clock.now();
    const dueAt = since + FIRST_WAIT;
    this.#draining.set(keyOf(backend, name), { backend, name, since, dueAt, wait: FIRST_WAIT });
  }
}

function keyOf(backend: string, name: string): string {
  return `${backend}/${name}`;
}

/** A command without its payload, which may hold a key. */
function headOf(text: string): string {
  return text.split('\n', 1)[0] ?? '';
}
