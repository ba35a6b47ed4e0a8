import { z } from 'zod';
import { caBundle } from './ca-bundle.ts';
import { durationWithin } from './duration.ts';
import { host, token } from './names.ts';

const LONGEST = '24h';
const aDay = durationWithin('1ms', LONGEST);

const timeouts = z.strictObject({
  connect: durationWithin('1ms', '75s').optional(),
  queue: aDay.optional(),
  response: aDay.optional(),
  tunnel: aDay.optional(),
});

const retries = z.strictObject({
  attempts: z.int().min(0).max(10),
  on: z
    .array(z.enum(['ConnectFailure', 'EmptyResponse', 'ResponseTimeout', 'GatewayError']))
    .max(4)
    .default([]),
});

const hash = z
  .strictObject({ header: token.optional(), cookie: token.optional(), source: z.literal(true).optional() })
  .refine(
    (value) => Object.values(value).filter((given) => given !== undefined).length === 1,
    'needs exactly one of header, cookie and source',
  );

const balance = z
  .strictObject({
    algorithm: z.enum(['RoundRobin', 'LeastConnections', 'Random', 'Hash']),
    hash: hash.optional(),
  })
  .refine((value) => value.algorithm !== 'Hash' || value.hash !== undefined, {
    message: 'is missing: algorithm Hash needs it',
    path: ['hash'],
    params: { remedy: 'say what is hashed: { header: NAME }, { cookie: NAME } or { source: true }' },
  })
  .refine((value) => value.algorithm === 'Hash' || value.hash === undefined, {
    message: 'goes with algorithm Hash only',
    path: ['hash'],
    params: { remedy: 'set algorithm to Hash, or remove it' },
  });

const checkPath = z
  .string()
  .max(1024)
  .regex(
    /^\/[!$-&(-[\]-_a-~]*$/,
    'must begin with "/" and hold visible ASCII characters without quotes, "#" and "\\"; escape others as %XX',
  );

const code = z.int().min(100).max(599);

/** Fields of a check that only one type has. */
export const checkOnly = { path: 'HTTP', host: 'HTTP', status: 'HTTP', grpcService: 'GRPC' } as const;

const healthCheck = z
  .strictObject({
    type: z.enum(['TCP', 'HTTP', 'GRPC', 'None']).default('TCP'),
    // Each node asks each endpoint this often.
    interval: durationWithin('100ms', LONGEST).optional(),
    timeout: aDay.optional(),
    rise: z.int().min(1).max(100).optional(),
    fall: z.int().min(1).max(100).optional(),
    port: z.int().min(1).max(65_535).optional(),
    path: checkPath.optional(),
    host: host.optional(),
    status: z
      .strictObject({ from: code, to: code })
      .refine(({ from, to }) => from <= to, { message: 'must not be below from', path: ['to'] })
      .optional(),
    grpcService: z
      .string()
      .regex(/^[A-Za-z0-9._/-]{0,256}$/, 'must be at most 256 letters, digits and ._/-')
      .meta({ maxLength: 256 })
      .optional(),
  })
  .superRefine(({ type, ...given }, context) => {
    const fault = (field: string, message: string) =>
      context.addIssue({ code: 'custom', path: [field], message, params: { remedy: `remove it, or change type` } });
    if (type === 'None') {
      for (const [field, value] of Object.entries(given))
        if (value !== undefined) fault(field, 'has no meaning with type None');
      return;
    }
    for (const [field, needed] of Object.entries(checkOnly))
      if (given[field as keyof typeof checkOnly] !== undefined && type !== needed)
        fault(field, `goes with type ${needed} only`);
  });

const outlier = z.strictObject({
  consecutiveErrors: z.int().min(1).max(1_000).optional(),
  serverErrors: z.boolean().default(false),
  ejectFor: aDay.optional(),
  maxEjectedPercent: z.int().min(1).max(100).optional(),
});

const count = z.int().min(1).max(1_000_000);
const limits = z.strictObject({ connections: count, queue: count.optional() });

const backendTls = z
  .strictObject({ hostname: host.optional(), ca: caBundle.optional(), insecure: z.boolean().default(false) })
  .refine((value) => value.insecure || value.hostname !== undefined, {
    message: 'is missing: the certificate of an endpoint must carry it',
    path: ['hostname'],
    params: { remedy: 'give the name, or insecure: true to take any certificate' },
  })
  .refine((value) => !value.insecure || value.ca === undefined, {
    message: 'has no meaning with insecure: any certificate is taken',
    path: ['ca'],
    params: { remedy: 'remove one of the two' },
  });

/** How HAProxy treats the endpoints of a route; each is settled apart. Durations come out in milliseconds. */
export const backendFields = {
  timeouts: timeouts.optional(),
  retries: retries.optional(),
  balance: balance.optional(),
  healthCheck: healthCheck.optional(),
  outlier: outlier.optional(),
  slowStart: aDay.optional(),
  limits: limits.optional(),
  backendProtocol: z.enum(['HTTP1', 'HTTP2']).optional(),
  backendTLS: backendTls.optional(),
  proxyProtocol: z.enum(['V1', 'V2']).optional(),
  passthrough: z.boolean().optional(),
};

/** Fields that need the request to be read, which passes through closed. */
export const closedWithPassthrough = [
  'affinity',
  'timeouts',
  'retries',
  'balance',
  'backendProtocol',
  'backendTLS',
] as const;

/** What stands beside `passthrough: true` in one section of a policy. */
export function checkPassthrough(
  fields: {
    readonly [name in (typeof closedWithPassthrough)[number]]?: unknown;
  } & { readonly passthrough?: boolean | undefined; readonly healthCheck?: { readonly type: string } | undefined },
  context: z.core.$RefinementCtx,
): void {
  if (fields.passthrough !== true) return;
  const fault = (path: string[], message: string) =>
    context.addIssue({ code: 'custom', path, message, params: { remedy: 'remove it, or passthrough' } });
  for (const name of closedWithPassthrough)
    if (fields[name] !== undefined) fault([name], 'has no meaning with passthrough, which leaves requests unread');
  const { type = 'TCP' } = fields.healthCheck ?? {};
  if (type !== 'TCP' && type !== 'None') fault(['healthCheck', 'type'], 'must be TCP or None with passthrough');
}
