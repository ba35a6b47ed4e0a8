import { z } from 'zod';
import { HeadgateError } from '../../errors.ts';
import type { Rule } from './rules.ts';

/** What a CRD may say of a value: OpenAPI v3 without references and alternatives (Kubernetes, "structural schema"). */
export interface StructuralSchema {
  readonly type: 'object' | 'array' | 'string' | 'integer' | 'boolean';
  readonly description?: string;
  readonly format?: 'int32' | 'int64' | 'date-time';
  readonly enum?: readonly unknown[];
  readonly pattern?: string;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly items?: StructuralSchema;
  readonly required?: readonly string[];
  readonly properties?: Readonly<Record<string, StructuralSchema>>;
  readonly additionalProperties?: StructuralSchema;
  readonly 'x-kubernetes-list-type'?: 'map';
  readonly 'x-kubernetes-list-map-keys'?: readonly string[];
  readonly 'x-kubernetes-validations'?: readonly Rule[];
}

/** What is said of a field beside its type. */
export interface FieldNotes {
  /** @param path "", "tiers[].clusters[].weight" */
  description(path: string): string;
  rules(path: string): readonly Rule[];
}

/** What zod's `toJSONSchema` writes for the schemas of policies. */
interface Written extends Omit<
  StructuralSchema,
  'items' | 'properties' | 'additionalProperties' | 'x-kubernetes-validations'
> {
  readonly items?: Written;
  readonly properties?: Readonly<Record<string, Written>>;
  readonly additionalProperties?: Written | false;
  /** From `durationWithin`. */
  readonly within?: readonly [string, string];
}

const copied = [
  'type',
  'enum',
  'pattern',
  'minLength',
  'maxLength',
  'minimum',
  'maximum',
  'minItems',
  'maxItems',
] as const;
/** Keywords that say nothing which a structural schema could keep. */
const dropped = new Set<string>(['default', 'required', 'properties', 'additionalProperties', 'items', 'within']);

/**
 * The structural schema of what a zod schema takes. Defaults are left out: an object stands in the API as it was
 * written, and the hub fills in. Fields that are not known are pruned, and refused under strict field validation,
 * which is kubectl's default.
 *
 * @throws HeadgateError HG9001 for what no structural schema can say
 */
export function structuralSchema(schema: z.ZodType, notes: FieldNotes): StructuralSchema {
  const written = z.toJSONSchema(schema, { io: 'input', target: 'openapi-3.0', reused: 'inline' });
  return structural(written as Written, '', notes);
}

function structural(written: Written, path: string, notes: FieldNotes): StructuralSchema {
  const kept: Record<string, unknown> = {};
  for (const keyword of copied) if (written[keyword] !== undefined) kept[keyword] = written[keyword];
  const { type, items, properties, additionalProperties, required, within } = written;
  for (const keyword of Object.keys(written))
    if (!(keyword in kept) && !dropped.has(keyword))
      throw new HeadgateError('HG9001', `a structural schema cannot say '${keyword}'`, { field: path });
  const rules = [...(within === undefined ? [] : [withinRule(within, written.pattern)]), ...notes.rules(path)];
  const at = (name: string) => (path === '' ? name : `${path}.${name}`);
  return {
    ...(kept as Pick<StructuralSchema, 'type'>),
    ...(path.endsWith('[]') ? {} : { description: notes.description(path) }),
    ...(type === 'integer' ? { format: 'int32' } : {}),
    ...(items === undefined ? {} : { items: structural(items, `${path}[]`, notes) }),
    ...(required === undefined ? {} : { required }),
    ...(properties === undefined
      ? {}
      : {
          properties: Object.fromEntries(
            Object.entries(properties).map(([name, one]) => [name, structural(one, at(name), notes)]),
          ),
        }),
    ...(typeof additionalProperties === 'object'
      ? { additionalProperties: structural(additionalProperties, `${path}[]`, notes) }
      : {}),
    ...(rules.length === 0 ? {} : { 'x-kubernetes-validations': rules }),
  };
}

/** What is no duration at all is told once, by the pattern. */
function withinRule([least, most]: readonly [string, string], pattern = ''): Rule {
  return {
    rule: `!self.matches('${pattern}') || (duration(self) >= duration('${least}') && duration(self) <= duration('${most}'))`,
    message: `must be at least ${least} and at most ${most}`,
  };
}
