import { z } from 'zod';
import { HeadgateError } from '../lib/errors.ts';
import { type Address, parseAddress } from '../lib/config/address.ts';
import { labelPattern } from '../lib/identity/identity.ts';

export const label = z.string().regex(labelPattern, 'must be an RFC 1123 label: a-z, 0-9 and -, at most 63');

/** A flag's HOST:PORT. */
export const address = z.string().transform((text, context): Address => {
  try {
    return parseAddress(text);
  } catch (error) {
    context.addIssue({ code: 'custom', message: HeadgateError.from(error).message });
    return z.NEVER;
  }
});

/**
 * Parses flags into a total type.
 * @throws HeadgateError HG2001 naming the flag
 */
export function parseFlags<Schema extends z.ZodType>(schema: Schema, flags: unknown): z.output<Schema> {
  const parsed = schema.safeParse(flags);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  const flag = String(issue?.path[0] ?? '').replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
  const missing = issue?.code === 'invalid_type' && flagValue(flags, issue.path[0]) === undefined;
  throw new HeadgateError('HG2001', `--${flag} ${missing ? 'is missing' : (issue?.message ?? 'is malformed')}`, {
    remedy: 'see --help',
  });
}

function flagValue(flags: unknown, name: PropertyKey | undefined): unknown {
  return name === undefined ? undefined : (flags as Record<PropertyKey, unknown>)[name];
}
