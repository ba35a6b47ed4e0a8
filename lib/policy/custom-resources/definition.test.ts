import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { stringify } from 'yaml';
import { type PolicyKind, policyKinds } from '../schemas.ts';
import { customResourceDefinition, objectSchema, pluralOf } from './definition.ts';
import { descriptions } from './descriptions.ts';
import { rules } from './rules.ts';
import type { StructuralSchema } from './structural-schema.ts';

const folder = new URL('../../../deploy/chart/headgate/crds/', import.meta.url);
const kinds = Object.keys(policyKinds) as PolicyKind[];

test.each(kinds)('the chart has the definition of %s', async (kind) => {
  const written = `# Written by lib/policy/custom-resources/definition.test.ts: UPDATE_DOCS=1.\n${stringify(
    customResourceDefinition(kind),
    { lineWidth: 0, aliasDuplicateObjects: false },
  )}`;
  const file = new URL(`${pluralOf(kind)}.yaml`, folder);
  if (process.env['UPDATE_DOCS'] === '1') {
    await mkdir(folder, { recursive: true });
    await writeFile(file, written);
  }
  expect(await readFile(file, 'utf8')).toBe(written);
});

test('and no other', async () => {
  expect((await readdir(folder)).sort()).toEqual(kinds.map((kind) => `${pluralOf(kind)}.yaml`).sort());
});

/** kubectl apply keeps the whole object in an annotation, which may have 256 KiB. */
test.each(kinds)('the definition of %s can be applied', (kind) => {
  expect(JSON.stringify(customResourceDefinition(kind)).length).toBeLessThan(200 * 1024);
});

test.each(kinds)('descriptions and rules of %s are about fields that there are', (kind) => {
  const paths = new Set(pathsOf(objectSchema(kind).properties?.['spec']));
  expect(Object.keys(descriptions[kind]).filter((path) => !paths.has(path))).toEqual([]);
  expect(Object.keys(rules[kind]).filter((path) => !paths.has(path))).toEqual([]);
});

function pathsOf(schema: StructuralSchema | undefined, path = ''): string[] {
  if (schema === undefined) return [];
  const below = Object.entries(schema.properties ?? {}).flatMap(([name, one]) =>
    pathsOf(one, path === '' ? name : `${path}.${name}`),
  );
  return [path, ...below, ...pathsOf(schema.items, `${path}[]`)];
}
