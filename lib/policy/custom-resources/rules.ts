import { checkOnly, closedWithPassthrough } from '../backend-fields.ts';
import type { PolicyKind } from '../schemas.ts';

/** One rule in the Common Expression Language that the API server holds an object to. */
export interface Rule {
  readonly rule: string;
  readonly message: string;
  /** Of the field that the message is about, below where the rule stands: ".hash". */
  readonly fieldPath?: string;
}

/** Targets per group and kind that a policy knows; see `isKnownGroup` at the hub. */
const targets = [
  ['networking.k8s.io', 'Ingress'],
  ['', 'Namespace'],
  ['headgate.dev', 'Route'],
] as const;

const passesThrough = 'has(self.passthrough) && self.passthrough';

/** What refinements of `trafficSection` refuse, for each place that holds its fields. */
const trafficSection: readonly Rule[] = [
  ...closedWithPassthrough.map((field): Rule => ({
    rule: `!(${passesThrough}) || !has(self.${field})`,
    message: 'has no meaning with passthrough, which leaves requests unread',
    fieldPath: `.${field}`,
  })),
  {
    rule: `!(${passesThrough}) || !has(self.healthCheck) || !has(self.healthCheck.type) || self.healthCheck.type in ['TCP', 'None']`,
    message: 'must be TCP or None with passthrough',
    fieldPath: '.healthCheck.type',
  },
];

/** Of one section, by the path of the value that `self` is. */
const trafficFields: Readonly<Record<string, readonly Rule[]>> = {
  'tiers[]': [{ rule: 'self.clusters.exists(c, c.weight > 0)', message: 'weights sum to 0', fieldPath: '.clusters' }],
  'tiers[].clusters[]': [
    { rule: 'has(self.name) != has(self.selector)', message: 'needs exactly one of name and selector' },
  ],
  balance: [
    {
      rule: "self.algorithm != 'Hash' || has(self.hash)",
      message: 'is missing: algorithm Hash needs it',
      fieldPath: '.hash',
    },
    {
      rule: "self.algorithm == 'Hash' || !has(self.hash)",
      message: 'goes with algorithm Hash only',
      fieldPath: '.hash',
    },
  ],
  'balance.hash': [
    {
      rule: '(has(self.header) ? 1 : 0) + (has(self.cookie) ? 1 : 0) + (has(self.source) ? 1 : 0) == 1',
      message: 'needs exactly one of header, cookie and source',
    },
  ],
  healthCheck: [
    {
      rule: `!has(self.type) || self.type != 'None' || !(${['interval', 'timeout', 'rise', 'fall', 'port', ...Object.keys(checkOnly)].map((field) => `has(self.${field})`).join(' || ')})`,
      message: 'other fields have no meaning with type None',
    },
    ...Object.entries(checkOnly).map(([field, type]): Rule => ({
      rule: `!has(self.${field}) || (has(self.type) && self.type in ['${type}', 'None'])`,
      message: `goes with type ${type} only`,
      fieldPath: `.${field}`,
    })),
  ],
  'healthCheck.status': [{ rule: 'self.from <= self.to', message: 'must not be below from', fieldPath: '.to' }],
  backendTLS: [
    {
      rule: '(has(self.insecure) && self.insecure) || has(self.hostname)',
      message: 'is missing: the certificate of an endpoint must carry it',
      fieldPath: '.hostname',
    },
    {
      rule: '!(has(self.insecure) && self.insecure) || !has(self.ca)',
      message: 'has no meaning with insecure: any certificate is taken',
      fieldPath: '.ca',
    },
  ],
  'backendTLS.ca': [
    { rule: "!self.contains('PRIVATE KEY-----')", message: 'must hold certificates alone, no keys' },
    { rule: "self.contains('-----BEGIN CERTIFICATE-----')", message: 'must hold 1 to 16 certificates in PEM' },
  ],
};

/**
 * What the API server can know wrong when an object is written, by kind and by the path within `spec` of the value
 * that `self` is. Everything that it refuses the schemas of lib/policy refuse too, or the hub finds no target.
 */
export const rules: Readonly<Record<PolicyKind, Readonly<Record<string, readonly Rule[]>>>> = {
  TrafficPolicy: {
    '': trafficSection,
    defaults: trafficSection,
    overrides: trafficSection,
    'targetRefs[]': [
      {
        rule: targets.map(([group, kind]) => `(self.group == '${group}' && self.kind == '${kind}')`).join(' || '),
        message: `must be one of ${targets.map(([group, kind]) => `group "${group}" kind ${kind}`).join(', ')}`,
      },
    ],
    ...trafficFields,
    ...below('defaults', trafficFields),
    ...below('overrides', trafficFields),
  },
  HostClaim: {},
  Cluster: {},
};

function below<T>(section: string, fields: Readonly<Record<string, T>>): Record<string, T> {
  return Object.fromEntries(Object.entries(fields).map(([path, value]) => [`${section}.${path}`, value]));
}
