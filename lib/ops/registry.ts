import { Gauge, Registry, collectDefaultMetrics } from 'prom-client';
import { VERSION } from '../version.ts';

/** A metrics registry of one process: Node's own figures and headgate_build_info. */
export function createRegistry(component: 'hub' | 'agent'): Registry {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  new Gauge({
    name: 'headgate_build_info',
    help: 'Always 1; version, component and Node of the running program.',
    labelNames: ['version', 'component', 'node_version'],
    registers: [registry],
  }).set({ version: VERSION, component, node_version: process.versions.node }, 1);
  return registry;
}
