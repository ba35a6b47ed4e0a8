import { z } from 'zod';
import type { KubernetesObject } from '../../kubernetes/index.ts';
import { type Condition, conditionsOf, type Finding } from './conditions.ts';

/** What became of an object at the hub. */
export interface FleetStanding {
  readonly findings: readonly Finding[];
  /** One sentence, or empty. */
  readonly fleet: string;
}

interface Timed extends Condition {
  /** RFC 3339, of the last change of `status`. */
  readonly lastTransitionTime: string;
}

export interface Status {
  readonly observedGeneration: number;
  readonly conditions: readonly Timed[];
  readonly fleet?: string;
}

const written = z.object({
  observedGeneration: z.number(),
  conditions: z.array(
    z.object({
      type: z.enum(['Accepted', 'Programmed']),
      status: z.enum(['True', 'False']),
      reason: z.string(),
      message: z.string(),
      observedGeneration: z.number(),
      lastTransitionTime: z.string(),
    }),
  ),
  fleet: z.string().optional(),
});

/** The status that stands in one object, so that nothing is written that is there already. */
export class ResourceStatus {
  #status: Status | undefined;

  private constructor(status: Status | undefined) {
    this.#status = status;
  }

  /** As the API server has it; one that is not of our making counts as none. */
  static of(object: KubernetesObject): ResourceStatus {
    const { data } = written.safeParse(object['status']);
    if (data === undefined) return new ResourceStatus(undefined);
    const { fleet, ...rest } = data;
    return new ResourceStatus(fleet === undefined ? rest : { ...rest, fleet });
  }

  /** undefined where the status that stands says all that. @param now Unix milliseconds */
  next(findings: readonly Finding[], fleet: string, generation: number, now: number): Status | undefined {
    const time = new Date(now).toISOString().replace(/\.\d+Z$/, 'Z');
    const conditions = conditionsOf(findings, generation).map((one): Timed => {
      const stands = this.#status?.conditions.find(({ type, status }) => type === one.type && status === one.status);
      return { ...one, lastTransitionTime: stands?.lastTransitionTime ?? time };
    });
    const next = { observedGeneration: generation, conditions, ...(fleet === '' ? {} : { fleet }) };
    return isSame(next, this.#status) ? undefined : next;
  }

  told(status: Status): void {
    this.#status = status;
  }
}

function isSame(a: Status, b: Status | undefined): boolean {
  return (
    a.observedGeneration === b?.observedGeneration &&
    a.fleet === b.fleet &&
    a.conditions.length === b.conditions.length &&
    a.conditions.every((one) =>
      b.conditions.some(
        ({ type, status, reason, message, observedGeneration }) =>
          type === one.type &&
          status === one.status &&
          reason === one.reason &&
          message === one.message &&
          observedGeneration === one.observedGeneration,
      ),
    )
  );
}
