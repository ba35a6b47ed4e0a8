import { z } from 'zod';
import { HeadgateError } from '../lib/errors.ts';
import { parseAddress } from '../lib/config/address.ts';
import { parseAddressRanges } from '../lib/config/address-range.ts';
import { labelPattern } from '../lib/identity/identity.ts';

export const label = z.string().regex(labelPattern, 'must be an RFC 1123 label: a-z, 0-9 and -, at most 63');

/** A flag's HOST:PORT. */
export const address = parsed(parseAddress);

/** A flag's CIDR[,CIDR…]. */
export const addressRanges = parsed(parseAddressRanges);

/** @param parse throws HeadgateError. */
function parsed<T>(parse: (text: string) => T) {
  return z.string().transform((text, context): T => {
    try {
      return parse(text);
    } catch (error) {
      const { message, remedy } = HeadgateError.from(error);
      context.addIssue({ code: 'custom', message, params: { remedy } });
      return z.NEVER;
    }
  });
}

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
    remedy: issue?.code === 'custom' ? String(issue.params?.['remedy'] ?? 'see --help') : 'see --help',
  });
}

function flagValue(flags: unknown, name: PropertyKey | undefined): unknown {
  return name === undefined ? undefined : (flags as Record<PropertyKey, unknown>)[name];
}
