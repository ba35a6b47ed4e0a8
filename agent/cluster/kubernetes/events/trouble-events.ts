import type { Clock } from '../../../../lib/clock.ts';
import type { Finding } from '../../../../lib/policy/custom-resources/conditions.ts';
import { DueKeys } from '../status/due-keys.ts';
import type { SeenObjects } from '../status/seen-objects.ts';
import type { Troubles } from '../status/troubles.ts';
import type { EventRecorder } from './event-recorder.ts';

/** An object that is applied a moment before what it names is in no trouble, milliseconds. */
const SETTLE_MS = 1_000;
const AT_ONCE = 64;
/** Of one object; the status has them all. */
const MOST = 8;

/** Tells of each trouble that an object comes into, and once it is out of all of them. */
export class TroubleEvents {
  readonly #seen: SeenObjects;
  readonly #troubles: Troubles;
  readonly #recorder: Pick<EventRecorder, 'record'>;
  readonly #due: DueKeys;
  /** What was told of each object that is in trouble. */
  readonly #told = new Map<string, ReadonlySet<string>>();

  constructor(seen: SeenObjects, troubles: Troubles, recorder: Pick<EventRecorder, 'record'>, clock: Clock) {
    this.#seen = seen;
    this.#troubles = troubles;
    this.#recorder = recorder;
    this.#due = new DueKeys(clock);
  }

  /** Resolves when the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    using _seen = this.#seen.onChange((key) => this.#changed(key));
    using _troubles = this.#troubles.onChange((key) => this.#changed(key));
    for (const key of this.#seen.keys()) this.#changed(key);
    while (!signal.aborted) for (const key of await this.#due.take(AT_ONCE, signal)) this.#look(key);
  }

  /** Somebody else writes the object's status over ours. */
  contested(key: string): void {
    const regarding = this.#seen.get(key);
    if (regarding === undefined) return;
    this.#recorder.record({
      regarding,
      type: 'Warning',
      reason: 'StatusContested',
      action: 'WriteStatus',
      note: 'another controller writes the status of this object; it is written again after a growing pause; let one controller alone have the class',
    });
  }

  #changed(key: string): void {
    this.#due.add(key, SETTLE_MS);
  }

  #look(key: string): void {
    const regarding = this.#seen.get(key);
    // Told of a class of ours only; an object that went takes its Events with it.
    const findings = regarding === undefined ? [] : this.#troubles.of(key).slice(0, MOST);
    const before = this.#told.get(key);
    if (regarding === undefined) {
      this.#told.delete(key);
      return;
    }
    const now = new Map(findings.map((finding) => [noteOf(finding), finding]));
    for (const [note, { reason }] of now) {
      if (before?.has(note) === true) continue;
      this.#recorder.record({ regarding, type: 'Warning', reason, action: 'Configure', note });
    }
    if (now.size > 0) {
      this.#told.set(key, new Set(now.keys()));
      return;
    }
    if (before === undefined) return;
    this.#told.delete(key);
    const [first = ''] = before;
    const note = `in force as asked; this is over: ${first}`;
    this.#recorder.record({ regarding, type: 'Normal', reason: 'Recovered', action: 'Configure', note });
  }
}

function noteOf({ code, field, message, remedy }: Finding): string {
  const where = field === '' ? '' : `${field}: `;
  return `${code === '' ? '' : `${code}: `}${where}${message}${remedy === '' ? '' : `; ${remedy}`}`;
}
