import { z } from 'zod';

/** `maxLength` in these is what the pattern comes to, for schemas that must bound a text. */
export const label = z
  .string()
  .regex(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/, 'must be an RFC 1123 label')
  .meta({ maxLength: 63 });

const hostName = '([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)(\\.[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)*';

export const host = z
  .string()
  .max(253)
  .regex(new RegExp(`^${hostName}$`), 'must be a lower-case host name');

export const hostPattern = z
  .string()
  .max(253)
  .regex(new RegExp(`^(\\*\\.)?${hostName}$`), 'must be a lower-case host name, or "*." and one');

/** A header's or cookie's name: of what RFC 9110, 5.6.2 allows, what no language of HAProxy gives a meaning. */
export const token = z
  .string()
  .regex(/^[A-Za-z0-9_.-]{1,64}$/, 'must be 1 to 64 letters, digits and _.-')
  .meta({ maxLength: 64 });
