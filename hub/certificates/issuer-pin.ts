import { z } from 'zod';

/** RFC 7517 and 7518: public keys alone; a private member would be refused with the key. */
const rsa = z.strictObject({
  kty: z.literal('RSA'),
  // 2,048 bits are 342 characters of base64url.
  n: z.string().regex(/^[A-Za-z0-9_-]{342,1400}$/, 'is no modulus of at least 2,048 bits'),
  e: z.string().regex(/^[A-Za-z0-9_-]{1,8}$/),
  kid: z.string().max(256).optional(),
  alg: z.literal('RS256').optional(),
  use: z.literal('sig').optional(),
});
const coordinate = z.string().regex(/^[A-Za-z0-9_-]{43}$/);
const elliptic = z.strictObject({
  kty: z.literal('EC'),
  crv: z.literal('P-256'),
  x: coordinate,
  y: coordinate,
  kid: z.string().max(256).optional(),
  alg: z.literal('ES256').optional(),
  use: z.literal('sig').optional(),
});

const name = '[a-z0-9](?:[-.a-z0-9]{0,251}[a-z0-9])?';

/** `NAMESPACE/NAME` of the ServiceAccount that cluster agents run as, unless said otherwise. */
export const usualServiceAccount = 'headgate/headgate-cluster-agent';

/** Who vouches for a cluster's agent: the issuer of its ServiceAccount tokens with its keys, and whose tokens count. */
export const issuerPin = z.strictObject({
  issuer: z.url({ protocol: /^https$/ }).max(1_024),
  serviceAccount: z.string().regex(new RegExp(`^${name}/${name}$`), 'is NAMESPACE/NAME'),
  keys: z
    .array(z.discriminatedUnion('kty', [rsa, elliptic]))
    .min(1)
    .max(16),
});

export type IssuerPin = z.output<typeof issuerPin>;

/** What makes a key this key. */
export function materialOf(key: IssuerPin['keys'][number]): string {
  return key.kty === 'RSA' ? key.n : key.x;
}
