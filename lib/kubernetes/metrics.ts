import { Counter, type Registry } from 'prom-client';
import type { Verb } from './api-error.ts';

export type RelistReason = 'start' | 'expired' | 'idle' | 'failed';
export type RestartReason = 'closed' | 'broken' | 'refused';

/** Told by clients and reflectors as it happens. */
export interface KubernetesMetrics {
  /** @param code HTTP status; 0 where there was no answer. */
  requested(verb: Verb, code: number): void;
  /** A kind was listed as a whole. */
  listed(plural: string, reason: RelistReason): void;
  /** A watch ended and went on from where it was. */
  restarted(plural: string, reason: RestartReason): void;
}

export function registerKubernetesMetrics(registry: Registry): KubernetesMetrics {
  const registers = [registry];
  const requests = new Counter({
    name: 'headgate_kubernetes_requests_total',
    help: 'Requests to the Kubernetes API server by verb and HTTP status; 0 where no answer came.',
    labelNames: ['verb', 'code'],
    registers,
  });
  const lists = new Counter({
    name: 'headgate_kubernetes_lists_total',
    help: 'Times a kind was listed as a whole, by why.',
    labelNames: ['resource', 'reason'],
    registers,
  });
  const restarts = new Counter({
    name: 'headgate_kubernetes_watch_restarts_total',
    help: 'Times a watch ended and went on from where it was, by why.',
    labelNames: ['resource', 'reason'],
    registers,
  });
  return {
    requested: (verb, code) => requests.inc({ verb, code }),
    listed: (resource, reason) => lists.inc({ resource, reason }),
    restarted: (resource, reason) => restarts.inc({ resource, reason }),
  };
}
