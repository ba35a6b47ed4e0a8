import type { Registry } from 'prom-client';

import type { Clock } from '../lib/clock.ts';
import type { KubernetesClient } from '../lib/kubernetes/index.ts';
import type { Log } from '../lib/log.ts';
import type { ReadinessCheck } from '../lib/ops/index.ts';
import type { AgentIdentity } from './identity/agent-identity.ts';
import type { LinkMetrics } from './metrics.ts';
import type { AgentOptions } from './options.ts';

/** What the roles of one agent process share, and where each leaves what it adds. */
export interface AgentContext {
  readonly options: AgentOptions;
  readonly identity: AgentIdentity;
  readonly clusterUid: string;
  /** Of the cluster's API server; undefined where the source is none. */
  readonly kubernetes: KubernetesClient | undefined;
  /** Key that secrets in the ledgers are sealed with. */
  readonly keyFile: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly link: LinkMetrics;
  readonly registry: Registry;
  /** Aborts when the agent ends, for whatever reason. */
  readonly signal: AbortSignal;
  /** Aborts before that, when others are to turn away from this node first. */
  readonly draining: AbortSignal;
  /** Disposed in reverse order when the agent ends. */
  readonly resources: AsyncDisposableStack;
  /** Takes what runs until the end; the first to reject ends the agent, one that does so during the start included. */
  readonly keep: (work: Promise<void>) => void;
  readonly checks: ReadinessCheck[];
  /** Of the ready line. */
  readonly fields: Record<string, unknown>;
}
