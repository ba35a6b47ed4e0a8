import type { z } from 'zod';
import { type Code, codes } from '../errors.ts';

/** One thing wrong with a value: where, what, and how to mend it. */
export interface Fault {
  readonly path: readonly PropertyKey[];
  readonly message: string;
  readonly remedy: string;
  readonly code: Code;
}

/** Faults told of one value; the rest of a value that is wholly wrong helps nobody. */
const MOST = 20;

/**
 * What a schema found, in words; the value itself is never repeated, since it may be a secret. A schema's own
 * check may name code and remedy in `params`.
 */
export function issueFaults(error: z.ZodError, value: unknown): readonly Fault[] {
  return error.issues.slice(0, MOST).flatMap((issue) => faultsOf(issue, value));
}

function faultsOf(issue: z.core.$ZodIssue, value: unknown): readonly Fault[] {
  const { path } = issue;
  const fault = (message: string, remedy: string, code: Code = 'HG1002'): readonly Fault[] => [
    { path, message, remedy, code },
  ];
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.slice(0, MOST).map((key) => ({
      path: [...path, key],
      message: 'unknown field',
      remedy: 'correct its spelling or indentation, or remove it',
      code: 'HG1002',
    }));
  }
  if (issue.code === 'invalid_type') {
    const found = path.reduce<unknown>(
      (part, key) =>
        typeof part === 'object' && part !== null ? (part as Record<PropertyKey, unknown>)[key] : undefined,
      value,
    );
    if (found === undefined || found === null) return fault('is missing', `give it (${issue.expected})`);
    // The field's own words, where its schema has some: quotes alone do not make a duration of a number.
    if (!issue.message.startsWith('Invalid input')) return fault(issue.message, 'correct the value');
    if (issue.expected === 'string')
      return fault(`must be a string, not ${article(typeName(found))}`, 'put the value in quotes');
    return fault(`must be ${article(issue.expected)}, not ${article(typeName(found))}`, 'correct the value');
  }
  const { code, remedy }: Record<string, unknown> = (issue.code === 'custom' && issue.params) || {};
  return fault(
    issue.message.replace(/^Invalid /, 'invalid '),
    typeof remedy === 'string' ? remedy : 'correct the value',
    isCode(code) ? code : undefined,
  );
}

function isCode(code: unknown): code is Code {
  return typeof code === 'string' && Object.hasOwn(codes, code);
}

/** What a value is, never the value. */
function typeName(value: unknown): string {
  return Array.isArray(value) ? 'array' : typeof value;
}

function article(name: string): string {
  return `${/^[aeiou]/.test(name) ? 'an' : 'a'} ${name}`;
}
