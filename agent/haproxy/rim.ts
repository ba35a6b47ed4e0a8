import type { Clock } from '../../lib/clock.ts';
import type { Log } from '../../lib/log.ts';
import type { EndpointsOut, ResourceVerdict } from './data-plane.ts';

/** How the data plane meets the world. */
export interface DataPlaneRim {
  readonly clock: Clock;
  readonly log: Log;
  /** Ends the watching; HAProxy serves on. */
  readonly signal: AbortSignal;
  /** Told of resources that HAProxy refuses though it once took them. */
  readonly onRejected?: (verdicts: readonly ResourceVerdict[]) => void;
  /** Told about every second of all backends that have endpoints out, by name. */
  readonly onHealth?: (out: ReadonlyMap<string, EndpointsOut>) => void;
}
