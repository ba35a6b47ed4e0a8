import { HeadgateError } from '../../errors.ts';
import { API_VERSION, type PolicyKind, policyKinds } from '../schemas.ts';
import { descriptions } from './descriptions.ts';
import { type Rule, rules } from './rules.ts';
import { statusSchema } from './status-schema.ts';
import { type StructuralSchema, structuralSchema } from './structural-schema.ts';

interface PrinterColumn {
  readonly name: string;
  readonly type: 'string' | 'boolean' | 'date';
  readonly jsonPath: string;
  readonly description: string;
  /** 1: in wide output only. */
  readonly priority?: 1;
}

interface Presentation {
  readonly plural: string;
  readonly shortNames: readonly string[];
  readonly description: string;
  readonly columns: readonly PrinterColumn[];
  /** Of the object as a whole. */
  readonly rules?: readonly Rule[];
}

const presentations: Readonly<Record<PolicyKind, Presentation>> = {
  TrafficPolicy: {
    plural: 'trafficpolicies',
    shortNames: ['tp'],
    description:
      'TrafficPolicy says which clusters get the requests of routes, in which proportion, and how endpoints are treated.',
    columns: [
      {
        name: 'Target',
        type: 'string',
        jsonPath: '.spec.targetRefs[*].name',
        description: 'The first target; none for the fleet',
      },
    ],
  },
  HostClaim: {
    plural: 'hostclaims',
    shortNames: ['hc'],
    description: 'HostClaim settles which namespaces own hosts. It is honoured at the hub only.',
    columns: [
      { name: 'Hosts', type: 'string', jsonPath: '.spec.hosts', description: 'The hosts claimed' },
      { name: 'Namespaces', type: 'string', jsonPath: '.spec.namespaces', description: 'Who may have them' },
    ],
  },
  Cluster: {
    plural: 'clusters',
    shortNames: ['hgc'],
    description:
      'Cluster says what the fleet knows of a member: labels, cordon, grants. It is honoured at the hub only.',
    columns: [{ name: 'Cordoned', type: 'boolean', jsonPath: '.spec.cordoned', description: 'Gets no new traffic' }],
    rules: [
      {
        rule: "self.metadata.name.matches('^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$')",
        message: "must be a cluster's name, an RFC 1123 label",
      },
    ],
  },
};

const columns: readonly PrinterColumn[] = [
  ...(['Accepted', 'Programmed'] as const).map((type): PrinterColumn => ({
    name: type,
    type: 'string',
    jsonPath: `.status.conditions[?(@.type=="${type}")].status`,
    description: `Condition ${type}`,
  })),
  {
    name: 'Fleet',
    type: 'string',
    jsonPath: '.status.fleet',
    description: 'What the whole fleet makes of the object',
    priority: 1,
  },
  { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp', description: 'Time since the object was made' },
];

/** What kubectl calls a kind: "trafficpolicies". */
export function pluralOf(kind: PolicyKind): string {
  return presentations[kind].plural;
}

/** The schema of one object of a kind, as the API server holds it to. */
export function objectSchema(kind: PolicyKind): StructuralSchema {
  const { description, rules: whole = [] } = presentations[kind];
  const spec = structuralSchema(policyKinds[kind].spec, {
    description: (path) => descriptions[kind][path] ?? missing(kind, path),
    rules: (path) => rules[kind][path] ?? [],
  });
  return {
    type: 'object',
    description,
    required: ['spec'],
    properties: {
      apiVersion: { type: 'string', description: API_VERSION },
      kind: { type: 'string', description: kind },
      metadata: { type: 'object' },
      spec,
      status: statusSchema,
    },
    ...(whole.length === 0 ? {} : { 'x-kubernetes-validations': whole }),
  };
}

function missing(kind: PolicyKind, path: string): never {
  throw new HeadgateError('HG9001', `nothing describes ${kind} spec.${path}`);
}

/** The CustomResourceDefinition of a kind. */
export function customResourceDefinition(kind: PolicyKind) {
  const { plural, shortNames, columns: own } = presentations[kind];
  const [group = '', version = ''] = API_VERSION.split('/');
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${plural}.${group}`, labels: { 'app.kubernetes.io/part-of': 'headgate' } },
    spec: {
      group,
      names: {
        kind,
        listKind: `${kind}List`,
        plural,
        singular: kind.toLowerCase(),
        shortNames,
        categories: ['headgate'],
      },
      scope: policyKinds[kind].namespaced ? 'Namespaced' : 'Cluster',
      versions: [
        {
          name: version,
          served: true,
          storage: true,
          subresources: { status: {} },
          additionalPrinterColumns: [...own, ...columns],
          schema: { openAPIV3Schema: objectSchema(kind) },
        },
      ],
    },
  };
}
