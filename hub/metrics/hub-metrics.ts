import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import type { CompiledChange } from '../compile/compiler.ts';
import type { Distributor } from '../distribute/distributor.ts';
import type { HubView } from '../view.ts';
import { Propagation } from './propagation.ts';
import { Rejections } from './rejections.ts';

export interface HubMetrics {
  /** A change has been compiled. */
  compiled(change: CompiledChange, seconds: number): void;
  /** A cluster agent has stored what the hub has up to this revision. */
  acknowledged(cluster: string, revision: bigint): void;
  /** A guard has held something back. */
  blocked(guard: 'shrink'): void;
}

/** Codes with which a node can reject a resource: their series start at 0. */
const rejectionReasons = ['HG1002', 'HG1004', 'HG5002', 'HG5003', 'HG5005', 'HG9001'] as const;

export function registerHubMetrics(
  registry: Registry,
  view: HubView,
  distributor: Pick<Distributor, 'bytesSent'>,
  now: () => number,
): HubMetrics {
  const registers = [registry];
  const propagation = new Histogram({
    name: 'headgate_config_propagation_seconds',
    help: 'From the commit of a change as this hub sees it: compiled, and acknowledged by a cluster it concerns.',
    labelNames: ['stage'],
    buckets: [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30],
    registers,
  });
  for (const stage of ['compiled', 'acknowledged']) propagation.zero({ stage });
  const progress = new Propagation(now, (seconds) => propagation.observe({ stage: 'acknowledged' }, seconds));

  perCluster(
    registers,
    view,
    'headgate_agent_connected',
    '1 while the agent of the cluster is connected here.',
    (name) => (view.presence.connected(name) ? 1 : 0),
  );
  perCluster(
    registers,
    view,
    'headgate_agent_config_age_seconds',
    'For how long the configuration that the cluster has acknowledged has not been the newest; 0 when it is.',
    (name) => progress.ageOf(name),
  );
  const bytes: Counter<'cluster'> = new Counter({
    name: 'headgate_configuration_bytes_total',
    help: 'Bytes of configuration that the cluster has acknowledged since this hub started.',
    labelNames: ['cluster'],
    registers,
    collect: () => {
      bytes.reset();
      for (const cluster of view.state().members.keys()) bytes.inc({ cluster }, distributor.bytesSent(cluster));
    },
  });
  const seen = new Rejections();
  const rejections: Counter<'reason'> = new Counter({
    name: 'headgate_config_rejections_total',
    help: 'Resources that nodes have rejected, by error code; counted when the metrics are read.',
    labelNames: ['reason'],
    registers,
    collect: () => {
      for (const reason of seen.look(view.state())) rejections.inc({ reason });
    },
  });
  for (const reason of rejectionReasons) rejections.inc({ reason }, 0);
  const blocked = new Counter({
    name: 'headgate_guard_blocked_total',
    help: 'Times that a guard has held removals back.',
    labelNames: ['guard'],
    registers,
  });
  blocked.inc({ guard: 'shrink' }, 0);
  certificates(registers, view);
  return {
    compiled: (change, seconds) => {
      propagation.observe({ stage: 'compiled' }, seconds);
      progress.changed(change, view.state().members.keys());
    },
    acknowledged: (cluster, revision) => progress.acknowledged(cluster, revision),
    blocked: (guard) => blocked.inc({ guard }),
  };
}

function perCluster(
  registers: Registry[],
  view: HubView,
  name: string,
  help: string,
  value: (cluster: string) => number,
): void {
  const gauge: Gauge<'cluster'> = new Gauge({
    name,
    help,
    labelNames: ['cluster'],
    registers,
    collect: () => {
      gauge.reset();
      for (const cluster of view.state().members.keys()) gauge.set({ cluster }, value(cluster));
    },
  });
}

function certificates(registers: Registry[], view: HubView): void {
  const gauge: Gauge<'cluster' | 'namespace' | 'name'> = new Gauge({
    name: 'headgate_certificate_expiry_timestamp_seconds',
    help: 'When a certificate that a cluster serves ends, Unix seconds.',
    labelNames: ['cluster', 'namespace', 'name'],
    registers,
    collect: () => {
      gauge.reset();
      for (const [cluster, state] of view.state().clusters) {
        for (const { namespace, secret, notAfter } of state.certificates.values()) {
          gauge.set({ cluster, namespace, name: secret }, Number(notAfter));
        }
      }
    },
  });
}
