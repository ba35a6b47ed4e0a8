import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { stringify } from 'yaml';
import type { Manifest } from '../../../lib/manifest/manifest.ts';
import { parseManifests } from '../../../lib/manifest/parse.ts';
import { Inventory, type Resource } from '../../../lib/sync/index.ts';
import { Certificate, Endpoints } from '../../../proto/gen/headgate/v1/configured.ts';
import { CertificateInfo, Ingress, Policy, Problem, Service } from '../../../proto/gen/headgate/v1/reported.ts';
import { Translator } from './translator.ts';

const folder = join(import.meta.dirname, 'testdata');
const cases = readdirSync(folder)
  .filter((name) => name.endsWith('.in.yaml'))
  .map((name) => name.slice(0, -'.in.yaml'.length))
  .sort();
const now = Date.parse('2026-01-01T00:00:00Z');

function read(name: string): readonly Manifest[] {
  const parsed = parseManifests(readFileSync(join(folder, `${name}.in.yaml`), 'utf8'), `${name}.yaml`);
  expect(parsed.errors.map(({ error }) => error.line())).toEqual([]);
  return parsed.documents;
}

function decode({ type, body }: Resource): unknown {
  switch (type) {
    case 'ingress':
      return Ingress.toJSON(Ingress.decode(body));
    case 'service':
      return Service.toJSON(Service.decode(body));
    case 'policy':
      return Policy.toJSON(Policy.decode(body));
    case 'certificate':
      return CertificateInfo.toJSON(CertificateInfo.decode(body));
    case 'problem':
      return Problem.toJSON(Problem.decode(body));
    case 'endpoints':
      return Endpoints.toJSON(Endpoints.decode(body));
    case 'own-certificate':
      return Certificate.toJSON({ ...Certificate.decode(body), chain: '(chain)', privateKey: '(key)' });
    default:
      throw new Error(`no such type: ${type}`);
  }
}

function readable(inventory: Inventory): string {
  const sorted = [...inventory.all()].sort((a, b) => (`${a.type}/${a.name}` < `${b.type}/${b.name}` ? -1 : 1));
  return stringify(Object.fromEntries(sorted.map((next) => [`${next.type}/${next.name}`, decode(next)])), {
    lineWidth: 0,
  });
}

describe.each(cases)('%s', (name) => {
  test('resources', () => {
    const change = new Translator({ folder: true }).apply({ set: read(name) }, now);
    const inventory = new Inventory();
    inventory.apply(change.report);
    inventory.apply(change.own);
    const file = join(folder, `${name}.out.yaml`);
    const text = readable(inventory);
    if (process.env['UPDATE_GOLDEN'] === '1') writeFileSync(file, text);
    expect(text).toBe(readFileSync(file, 'utf8'));
  });

  test('object by object, in the other order, and away again', () => {
    const documents = read(name);
    const whole = new Inventory();
    const first = new Translator({ folder: true }).apply({ set: documents }, now);
    whole.apply(first.report);
    whole.apply(first.own);

    const steps = new Inventory();
    const translator = new Translator({ folder: true });
    for (const document of [...documents].reverse()) {
      const change = translator.apply({ set: [document] }, now);
      steps.apply(change.report);
      steps.apply(change.own);
    }
    expect(readable(steps)).toBe(readable(whole));
    for (const document of documents) {
      const change = translator.apply({ deleted: [document] }, now);
      steps.apply(change.report);
      steps.apply(change.own);
    }
    expect([...steps.all()]).toEqual([]);
  });
});
