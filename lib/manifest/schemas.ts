import { z } from 'zod';
import { MAX_RULE_PATH } from '../domain/path.ts';

/*
 * Kubernetes' shapes, as far as Headgate reads them. Ingress is closed, since a field that is misspelt there
 * would silently route elsewhere; the other kinds have many fields that mean nothing to a proxy and are open.
 * Nothing here judges hosts, paths or certificates: that is the translation's, rule by rule.
 */

// RFC 1123 subdomain and label, RFC 6335 service name: what the API server accepts.
const subdomain = z
  .string()
  .max(253)
  .regex(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/, 'must be an RFC 1123 subdomain');
const label = z.string().regex(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/, 'must be an RFC 1123 label');
const portName = z
  .string()
  .max(63)
  .regex(/^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/, 'must be a port name: lower-case letters, digits and "-"');
const portNumber = z.int().min(1).max(65_535);

const texts = z.record(z.string().max(317), z.string().max(262_144)).nullish();

export const metadata = z.object({
  name: subdomain,
  namespace: label.nullish(),
  generation: z.int().min(0).nullish(),
  labels: texts,
  annotations: texts,
});

const serviceBackend = z.strictObject({
  name: label,
  port: z
    .strictObject({ name: portName.optional(), number: portNumber.optional() })
    .refine(
      (port) => (port.name === undefined) !== (port.number === undefined),
      'needs exactly one of name and number',
    ),
});

const backend = z
  .strictObject({
    service: serviceBackend.optional(),
    resource: z.strictObject({ apiGroup: z.string().nullish(), kind: z.string(), name: z.string() }).optional(),
  })
  .refine(
    (value) => (value.service === undefined) !== (value.resource === undefined),
    'needs exactly one of service and resource',
  );

const path = z.strictObject({
  path: z.string().max(MAX_RULE_PATH).nullish(),
  pathType: z.enum(['Exact', 'Prefix', 'ImplementationSpecific']),
  backend,
});

export const ingressSpec = z.strictObject({
  ingressClassName: z.string().max(253).nullish(),
  defaultBackend: backend.nullish(),
  rules: z
    .array(
      z.strictObject({
        host: z.string().max(1024).nullish(),
        http: z.strictObject({ paths: z.array(path).nullish() }).nullish(),
      }),
    )
    .nullish(),
  tls: z
    .array(
      z.strictObject({
        hosts: z.array(z.string().max(1024)).nullish(),
        secretName: subdomain.or(z.literal('')).nullish(),
      }),
    )
    .nullish(),
});

export const ingressClassSpec = z.object({
  controller: z.string().max(250),
  parameters: z.object({ kind: z.string(), name: z.string() }).nullish(),
});

export const serviceSpec = z.object({
  type: z.string().nullish(),
  ports: z
    .array(
      z.object({
        name: portName.or(z.literal('')).nullish(),
        port: portNumber,
        targetPort: portNumber.or(portName).nullish(),
        protocol: z.string().nullish(),
      }),
    )
    .nullish(),
});

const condition = z.boolean().nullish();

/** EndpointSlice has no spec: its fields stand at the top. */
export const endpointSliceSpec = z.object({
  addressType: z.enum(['IPv4', 'IPv6', 'FQDN']),
  endpoints: z
    .array(
      z.object({
        addresses: z.array(z.string().max(253)).min(1).max(100),
        conditions: z.object({ ready: condition, serving: condition, terminating: condition }).nullish(),
      }),
    )
    .max(1000)
    .nullish(),
  ports: z
    .array(
      z.object({
        name: portName.or(z.literal('')).nullish(),
        port: portNumber.nullish(),
        protocol: z.string().nullish(),
      }),
    )
    .max(100)
    .nullish(),
});

const endpointAddresses = z.array(z.object({ ip: z.union([z.ipv4(), z.ipv6()], 'must be an IP address') })).nullish();

/** v1 Endpoints has no spec either. */
export const endpointsSpec = z.object({
  subsets: z
    .array(
      z.object({
        addresses: endpointAddresses,
        ports: endpointSliceSpec.shape.ports,
      }),
    )
    .nullish(),
});

const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

const base64 = z
  .string()
  // Line breaks are common in hand-wrapped values, and Go's decoder skips them too.
  .transform((text) => text.replace(/[\r\n]/g, ''))
  .refine((text) => BASE64.test(text), 'must be base64')
  .transform((text) => Buffer.from(text, 'base64').toString('latin1'));

/** Only what a TLS Secret needs is read: nothing else of a Secret is kept in memory. */
export const secretSpec = z
  .object({
    type: z.string().nullish(),
    data: z.object({ 'tls.crt': base64.nullish(), 'tls.key': base64.nullish() }).nullish(),
    stringData: z.object({ 'tls.crt': z.string().nullish(), 'tls.key': z.string().nullish() }).nullish(),
  })
  .transform(({ data, stringData }) => ({
    // stringData overrides data, as the API server merges them.
    certificate: stringData?.['tls.crt'] ?? data?.['tls.crt'] ?? undefined,
    key: stringData?.['tls.key'] ?? data?.['tls.key'] ?? undefined,
  }));

export type IngressSpec = z.output<typeof ingressSpec>;
export type IngressBackend = z.output<typeof backend>;
export type IngressClassSpec = z.output<typeof ingressClassSpec>;
export type ServiceSpec = z.output<typeof serviceSpec>;
export type EndpointSliceSpec = z.output<typeof endpointSliceSpec>;
/** PEM text, or undefined where the Secret has no such key. */
export type SecretSpec = z.output<typeof secretSpec>;
