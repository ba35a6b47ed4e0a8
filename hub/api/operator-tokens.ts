import { hash, timingSafeEqual } from 'node:crypto';
import { z } from 'zod';
import { roles } from './types.ts';

/** Bearer tokens as the hub's configuration holds them: never the token, only its digest. */
export const operatorTokens = z
  .array(
    z.strictObject({
      /** Who; goes into the audit. */
      name: z.string().min(1).max(100),
      role: z.enum(roles),
      /** Lower-case hex SHA-256 of the token. */
      sha256: z.string().regex(/^[0-9a-f]{64}$/, 'must be 64 lower-case hex digits: the SHA-256 of the token'),
    }),
  )
  .max(1_000);

export type OperatorToken = z.output<typeof operatorTokens>[number];

export function findToken(tokens: readonly OperatorToken[], presented: string): OperatorToken | undefined {
  const digest = hash('sha256', presented, 'buffer');
  // Every entry is compared, so that time tells nothing about which one came near.
  return tokens.filter((token) => timingSafeEqual(Buffer.from(token.sha256, 'hex'), digest))[0];
}
