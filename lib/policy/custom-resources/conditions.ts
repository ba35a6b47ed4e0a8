/** What is not as asked of an object; see ObjectStatus on the wire. */
export interface Finding {
  /** Whether the object is in force all the same. */
  readonly accepted: boolean;
  readonly reason: string;
  readonly code: string;
  readonly field: string;
  readonly message: string;
  readonly remedy: string;
}

/** metav1.Condition without the time at which it last changed. */
export interface Condition {
  readonly type: 'Accepted' | 'Programmed';
  readonly status: 'True' | 'False';
  readonly reason: string;
  readonly message: string;
  readonly observedGeneration: number;
}

/** Of a message, so that the conditions of one object stay small. */
const LONGEST = 8_192;

/**
 * What an object's status says: Accepted is false where a finding keeps the object from being in force at all,
 * Programmed is false where anything is not as asked.
 */
export function conditionsOf(findings: readonly Finding[], observedGeneration: number): readonly Condition[] {
  const refused = findings.filter(({ accepted }) => !accepted);
  return [
    condition('Accepted', refused, observedGeneration),
    condition('Programmed', refused.length > 0 ? refused : findings, observedGeneration),
  ];
}

function condition(type: Condition['type'], findings: readonly Finding[], observedGeneration: number): Condition {
  const [first] = findings;
  const message = findings.map(sentence).join('. ').slice(0, LONGEST);
  return {
    type,
    status: first === undefined ? 'True' : 'False',
    reason: first?.reason ?? type,
    message,
    observedGeneration,
  };
}

function sentence({ code, field, message, remedy }: Finding): string {
  const where = field === '' ? '' : `${field}: `;
  return `${code === '' ? '' : `${code}: `}${where}${message}${remedy === '' ? '' : `; ${remedy}`}`;
}
