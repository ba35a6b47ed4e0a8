import { Counter, Gauge, type Registry } from 'prom-client';

import type { DataPlaneStatus } from './haproxy/data-plane.ts';
import { reloadReasons } from './haproxy/mirror/reloads.ts';

/** Sets a counter to what was counted elsewhere; such counts only rise. */
function follow(counter: Counter<string>, counts: ReadonlyMap<string, number>, label: string): void {
  counter.reset();
  for (const [value, count] of counts) counter.inc({ [label]: value }, count);
}

/** The agent's own metrics, read from the data plane when they are asked for. */
export function registerDataPlaneMetrics(registry: Registry, status: () => DataPlaneStatus): void {
  const registers = [registry];
  const reloads: Counter<string> = new Counter({
    name: 'headgate_haproxy_reloads_total',
    help: 'HAProxy reloads since this agent started, by reason.',
    labelNames: ['reason'],
    registers,
    collect: (): void => {
      const none = reloadReasons.map((reason) => [reason, 0] as const);
      follow(reloads, new Map([...none, ...status().reloads]), 'reason');
    },
  });
  const commands: Counter<string> = new Counter({
    name: 'headgate_runtime_commands_total',
    help: 'Commands sent to HAProxy at runtime, by result.',
    labelNames: ['result'],
    registers,
    collect: (): void => {
      const { ok, failed } = status().commands;
      follow(
        commands,
        new Map([
          ['ok', ok],
          ['failed', failed],
        ]),
        'result',
      );
    },
  });
  const spares: Gauge = new Gauge({
    name: 'headgate_spare_backends',
    help: 'Spare backends left for new services before a reload refills the pool.',
    registers,
    collect: (): void => spares.set(status().sparesLeft),
  });
  const old: Gauge = new Gauge({
    name: 'headgate_haproxy_old_workers',
    help: 'HAProxy workers that a reload replaced and that still end their connections.',
    registers,
    collect: (): void => old.set(status().oldWorkers.count),
  });
  const oldest: Gauge = new Gauge({
    name: 'headgate_haproxy_old_worker_age_seconds',
    help: 'Seconds since the oldest of these workers was replaced; 0 where there is none.',
    registers,
    collect: (): void => oldest.set(status().oldWorkers.oldestMs / 1_000),
  });
}

/** Whether the node's ledger and HAProxy's files take writes. */
export function registerDiskMetrics(registry: Registry, writable: () => boolean): void {
  const gauge: Gauge = new Gauge({
    name: 'headgate_disk_writable',
    help: "1 while ledger and HAProxy's files take writes; 0 since one failed, for example on a full disk.",
    registers: [registry],
    collect: (): void => gauge.set(writable() ? 1 : 0),
  });
}

export interface LinkMetrics {
  connected(connected: boolean): void;
}

/** Whether the next hop is connected, and how old the configuration is. @param now milliseconds, monotonic */
export function registerLinkMetrics(registry: Registry, cluster: string, now: () => number): LinkMetrics {
  const registers = [registry];
  let heard = now();
  const connected = new Gauge({
    name: 'headgate_agent_connected',
    help: '1 while the agent is connected to its hub (a node agent apart: to its cluster agent).',
    labelNames: ['cluster'],
    registers,
  });
  connected.set({ cluster }, 0);
  const age: Gauge<string> = new Gauge({
    name: 'headgate_agent_config_age_seconds',
    help: 'Seconds since the configuration was last known to be current; 0 while connected.',
    labelNames: ['cluster'],
    registers,
    collect: (): void => age.set({ cluster }, isConnected ? 0 : (now() - heard) / 1_000),
  });
  let isConnected = false;
  return {
    connected: (value) => {
      if (isConnected && !value) heard = now();
      isConnected = value;
      connected.set({ cluster }, value ? 1 : 0);
    },
  };
}
