import { z } from 'zod';

export const label = z.string().regex(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/, 'must be an RFC 1123 label');

const hostName = '([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)(\\.[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)*';

export const host = z
  .string()
  .max(253)
  .regex(new RegExp(`^${hostName}$`), 'must be a lower-case host name');

export const hostPattern = z
  .string()
  .max(253)
  .regex(new RegExp(`^(\\*\\.)?${hostName}$`), 'must be a lower-case host name, or "*." and one');

/** A header's or cookie's name: RFC 9110, 5.6.2. */
export const token = z
  .string()
  .regex(
    /^[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,64}$/,
    "must be 1 to 64 characters of a header name: letters, digits and !#$%&'*+-.^_`|~",
  );
