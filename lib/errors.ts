import { printable } from './printable.ts';

/** Whose fault it is: the user can mend a `user` error; a `system` error is the surroundings' or ours. */
export type Blame = 'user' | 'system';

/**
 * Every code that Headgate can show, with the class of error it is. Codes are public API: they are never
 * reused or changed in meaning, and `docs/errors.md` explains each.
 */
export const codes = {
  HG1001: 'user', // a document does not parse
  HG1002: 'user', // a field is missing, of the wrong type or out of range
  HG1003: 'user', // an object named by another is not there
  HG1004: 'user', // a key does not match its certificate, or the certificate cannot be used
  HG1005: 'user', // two objects of one cluster claim the same host and path
  HG1006: 'user', // the host belongs to another namespace
  HG1007: 'user', // settings of one route disagree between clusters
  HG1008: 'user', // a policy names a cluster or target that does not exist
  HG1009: 'user', // weights sum to 0
  HG1010: 'user', // known field or annotation that is not honoured
  HG1011: 'user', // settings that are each right and do not go together
  HG2001: 'user', // wrong usage: flag, argument, combination
  HG2002: 'system', // an address cannot be listened on
  HG2003: 'system', // a data folder cannot be read or written
  HG2004: 'user', // a join token or ServiceAccount token is malformed, expired, used or for another cluster
  HG2005: 'user', // a credential is missing or not accepted
  HG2006: 'user', // the caller may not do this
  HG2007: 'user', // not found
  HG2008: 'user', // already exists, or changed meanwhile
  HG3001: 'system', // the peer is not reachable
  HG3002: 'system', // the peer speaks no version that we speak
  HG3003: 'system', // the peer's epoch or revision lies behind what we hold
  HG3004: 'system', // another speaker of this cluster took over
  HG3005: 'system', // no acknowledgement within the deadline
  HG3006: 'system', // a frame breaks the protocol
  HG4001: 'system', // the store refused or lost a write
  HG4002: 'system', // a watch was lost; list again
  HG4003: 'system', // stored data is corrupt
  HG5001: 'system', // HAProxy is missing or too old
  HG5002: 'system', // HAProxy refused a configuration
  HG5003: 'system', // HAProxy refused or did not answer a runtime command
  HG5004: 'system', // HAProxy is not running
  HG5005: 'user', // more than the data plane's limit for one object
  HG5006: 'system', // new settings wait for HAProxy's next reload
  HG5007: 'system', // HAProxy has taken endpoints out of service
  HG6001: 'user', // a guard holds a removal
  HG9001: 'system', // our own mistake
} as const satisfies Record<string, Blame>;

export type Code = keyof typeof codes;

export interface ErrorDetail {
  /** Object that is wrong, as `Kind namespace/name`. */
  readonly object?: string;
  /** Path of the field in the object. */
  readonly field?: string;
  /** Where it stands, as `file:line`; relative to the folder that was read. */
  readonly place?: string;
  /** One sentence: how to mend it. */
  readonly remedy?: string;
  readonly cause?: unknown;
}

/** The one error type. `message` says what and why in one sentence; `detail.remedy` says how to mend it. */
export class HeadgateError extends Error {
  readonly code: Code;
  readonly object: string | undefined;
  readonly field: string | undefined;
  readonly place: string | undefined;
  readonly remedy: string | undefined;

  constructor(code: Code, message: string, detail: ErrorDetail = {}) {
    super(message, detail.cause === undefined ? undefined : { cause: detail.cause });
    this.name = 'HeadgateError';
    this.code = code;
    this.object = detail.object;
    this.field = detail.field;
    this.place = detail.place;
    this.remedy = detail.remedy;
  }

  get blame(): Blame {
    return codes[this.code];
  }

  /** Normalises whatever was caught; a HeadgateError is returned as it is. */
  static from(thrown: unknown, code: Code = 'HG9001', context?: string): HeadgateError {
    if (thrown instanceof HeadgateError) return thrown;
    const message = thrown instanceof Error ? thrown.message : String(thrown);
    return new HeadgateError(code, context === undefined ? message : `${context}: ${message}`, { cause: thrown });
  }

  /** One line whatever the parts hold: what, why, how to mend. */
  line(): string {
    const where = [this.place, this.object, this.field].filter((part) => part !== undefined).join(' ');
    const remedy = this.remedy === undefined ? '' : `; ${this.remedy}`;
    return printable(`${this.code} ${where === '' ? '' : `${where}: `}${this.message}${remedy}`);
  }

  /** `line()` followed by one line per cause. */
  chain(): string {
    const lines = [this.line()];
    for (let cause = this.cause; cause instanceof Error; cause = cause.cause) {
      lines.push(printable(`  caused by ${cause.name}: ${cause.message}`));
    }
    return lines.join('\n');
  }
}

/** For the default branch of an exhaustive switch. */
export function unreachable(value: never): never {
  throw new HeadgateError('HG9001', `unreachable value ${JSON.stringify(value)}`);
}
