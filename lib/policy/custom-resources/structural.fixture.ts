import * as fc from 'fast-check';
import { unreachable } from '../../errors.ts';
import type { StructuralSchema } from './structural-schema.ts';

/**
 * What an API server finds wrong with a value by its structural schema, under strict field validation: paths with
 * what is wrong. Rules are left to real API servers.
 */
export function structuralFaults(schema: StructuralSchema, value: unknown, path = 'spec'): string[] {
  const type = typeOf(value);
  if (type !== schema.type) return [`${path}: ${type} where ${schema.type} is wanted`];
  const faults: string[] = [];
  const fault = (wrong: boolean, what: string) => wrong && faults.push(`${path}: ${what}`);
  if (schema.enum !== undefined) fault(!schema.enum.includes(value), 'enum');
  if (typeof value === 'string') {
    const { length } = Array.from(value);
    fault(length < (schema.minLength ?? 0) || length > (schema.maxLength ?? Infinity), 'length');
    fault(schema.pattern !== undefined && !new RegExp(schema.pattern).test(value), 'pattern');
  } else if (typeof value === 'number') {
    fault(value < (schema.minimum ?? -Infinity) || value > (schema.maximum ?? Infinity), 'range');
    if (schema.format === 'int32') fault(value < -(2 ** 31) || value >= 2 ** 31, 'int32');
  } else if (Array.isArray(value)) {
    fault(value.length < (schema.minItems ?? 0) || value.length > (schema.maxItems ?? Infinity), 'items');
    for (const [at, one] of value.entries())
      if (schema.items !== undefined) faults.push(...structuralFaults(schema.items, one, `${path}[${at}]`));
  } else if (typeof value === 'object' && value !== null) {
    const given = value as Record<string, unknown>;
    for (const name of schema.required ?? []) fault(!Object.hasOwn(given, name), `${name} is missing`);
    for (const [name, one] of Object.entries(given)) {
      const known = schema.properties ?? {};
      const below = Object.hasOwn(known, name) ? known[name] : schema.additionalProperties;
      if (below === undefined) fault(true, `unknown field ${name}`);
      else faults.push(...structuralFaults(below, one, `${path}.${name}`));
    }
  }
  return faults;
}

function typeOf(value: unknown): string {
  if (Array.isArray(value)) return 'array';
  if (value === null) return 'null';
  return Number.isInteger(value) ? 'integer' : typeof value;
}

/** Values of a schema; some a little beside it where `wrong`. */
export function valuesOf(schema: StructuralSchema, wrong: boolean): fc.Arbitrary<unknown> {
  const right = rightValues(schema, wrong);
  if (!wrong) return right;
  const besides = fc.constantFrom<unknown>(null, '', 'x', '1s\n', -1, 1.5, 2 ** 31, true, [], {}, { more: 1 });
  return fc.oneof({ weight: 20, arbitrary: right }, { weight: 1, arbitrary: besides });
}

function rightValues(schema: StructuralSchema, wrong: boolean): fc.Arbitrary<unknown> {
  if (schema.enum !== undefined) return fc.constantFrom(...schema.enum);
  switch (schema.type) {
    case 'boolean':
      return fc.boolean();
    case 'integer': {
      const [low, high] = [schema.minimum ?? 0, schema.maximum ?? 2 ** 31 - 1];
      return fc.oneof(
        fc.integer({ min: low, max: high }),
        fc.constantFrom(...(wrong ? [low - 1, high + 1] : [low, high])),
      );
    }
    case 'string': {
      const { minLength = 0, maxLength = 70, pattern } = schema;
      const text =
        pattern === undefined
          ? fc.string({ minLength, maxLength: Math.min(maxLength, 70) })
          : fc.stringMatching(new RegExp(pattern)).filter((one) => one.length <= maxLength);
      return wrong && maxLength < 2_000
        ? fc.oneof({ weight: 30, arbitrary: text }, { weight: 1, arbitrary: fc.constant('a'.repeat(maxLength + 1)) })
        : text;
    }
    case 'array': {
      if (schema.items === undefined) return fc.constant([]);
      const { minItems = 0, maxItems = 4 } = schema;
      return fc.array(valuesOf(schema.items, wrong), {
        minLength: wrong ? 0 : minItems,
        maxLength: Math.max(minItems, Math.min(maxItems, 3)),
      });
    }
    case 'object': {
      const { properties = {}, required = [], additionalProperties } = schema;
      if (additionalProperties !== undefined)
        return fc.dictionary(fc.stringMatching(/^[a-z]{1,5}$/), valuesOf(additionalProperties, wrong), { maxKeys: 3 });
      const fields = Object.fromEntries(Object.entries(properties).map(([name, one]) => [name, valuesOf(one, wrong)]));
      return fc.record(fields, { requiredKeys: wrong ? required.slice(1) : [...required] });
    }
    default:
      return unreachable(schema.type);
  }
}
