import { hash, randomBytes } from 'node:crypto';
import { z } from 'zod';
import { HeadgateError } from '../errors.ts';
import { labelPattern } from './identity.ts';

export type TokenRole = 'cluster' | 'node';

/** What a join token says; whoever holds its line may enrol once. */
export interface JoinToken {
  /** Names the token's record at the hub; no secret. */
  readonly id: string;
  /** 256 bits, base64url. */
  readonly secret: string;
  readonly cluster: string;
  /** A cluster agent (with its own node), or a node agent apart. */
  readonly role: TokenRole;
  /** SPKI hash of the root that the hub's certificate must chain to, base64url SHA-256. */
  readonly rootSpki: string;
  /** Unix milliseconds, by the hub's clock. */
  readonly expiresAt: number;
}

const prefix = 'hgjoin1.';
const maxLength = 512;

const schema = z.strictObject({
  id: z.string().regex(/^[A-Za-z0-9_-]{11}$/),
  secret: z.string().regex(/^[A-Za-z0-9_-]{43}$/),
  cluster: z.string().regex(labelPattern),
  role: z.enum(['cluster', 'node']),
  rootSpki: z.string().regex(/^[A-Za-z0-9_-]{43}$/),
  expiresAt: z.number().int().positive(),
});

const remedy = 'make a new one with: headgate cluster add NAME';

/** A token's id and secret, drawn anew. */
export function drawToken(): Pick<JoinToken, 'id' | 'secret'> {
  return { id: randomBytes(8).toString('base64url'), secret: randomBytes(32).toString('base64url') };
}

/** One line: `hgjoin1.<id>.<secret>.<cluster>.<role>.<root SPKI hash>.<expiry, base 36>`. */
export function formatToken(token: JoinToken): string {
  const { id, secret, cluster, role, rootSpki, expiresAt } = token;
  return prefix + [id, secret, cluster, role, rootSpki, expiresAt.toString(36)].join('.');
}

/** Whether a text means to be a join token; it may be a bad one. */
export function isJoinToken(text: string): boolean {
  return text.trimStart().startsWith(prefix);
}

/** Reads what `formatToken` wrote, white space around it allowed. Throws HG2004; the error never holds the text. */
export function parseToken(text: string): JoinToken {
  const line = text.trim();
  if (!line.startsWith(prefix)) throw malformed(`it does not start with ${prefix}`);
  if (line.length > maxLength) throw malformed('it is too long');
  const parts = line.slice(prefix.length).split('.');
  if (parts.length !== 6) throw malformed('a part is missing, or there is one too many');
  const [id, secret, cluster, role, rootSpki, expiry = ''] = parts;
  const parsed = schema.safeParse({ id, secret, cluster, role, rootSpki, expiresAt: Number.parseInt(expiry, 36) });
  if (!parsed.success) throw malformed(`bad ${parsed.error.issues[0]?.path.join('.') ?? 'form'}`);
  if (parsed.data.expiresAt.toString(36) !== expiry) throw malformed('bad expiresAt');
  return parsed.data;
}

/** What the store keeps of a secret: its SHA-256, base64url. The secret is random, so no salt is needed. */
export function secretHash(secret: string): string {
  return hash('sha256', secret, 'base64url');
}

function malformed(why: string): HeadgateError {
  return new HeadgateError('HG2004', `the join token is malformed: ${why}`, { remedy });
}
