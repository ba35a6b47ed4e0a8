import { z } from 'zod';

const context = z
  .strictObject({
    name: z.string().min(1),
    /** https://HOST:PORT */
    server: z.url({ protocol: /^https$/ }),
    /** PEM: who may have signed the hub's certificate. */
    ca: z.string(),
    /** PEM; both or neither. */
    certificate: z.string().optional(),
    key: z.string().optional(),
    /** Bearer token, in place of a certificate. */
    token: z.string().optional(),
  })
  .refine(
    (value) => (value.certificate !== undefined && value.key !== undefined) || value.token !== undefined,
    'needs certificate and key, or token',
  );

/** What the CLI reads and the hub writes as admin.yaml. */
export const clientConfigSchema = z.strictObject({
  current: z.string().min(1),
  contexts: z.array(context).min(1),
});

export type ClientConfig = z.output<typeof clientConfigSchema>;
export type HubContext = z.output<typeof context>;
