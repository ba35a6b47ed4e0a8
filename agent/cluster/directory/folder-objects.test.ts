import { expect, test } from 'vitest';
import { objectKey } from '../../../lib/manifest/manifest.ts';
import { parseManifests } from '../../../lib/manifest/parse.ts';
import { FolderObjects } from './folder-objects.ts';

function service(name: string, port = 80): string {
  return `---\napiVersion: v1\nkind: Service\nmetadata: { name: ${name} }\nspec: { ports: [{ port: ${port} }] }\n`;
}

function folder(...files: readonly (readonly [string, string])[]): FolderObjects {
  const objects = new FolderObjects(200);
  for (const [file, text] of files) objects.read(file, parseManifests(text, file), 0);
  objects.take();
  return objects;
}

function taken(objects: FolderObjects): { set: string[]; deleted: string[] } {
  const { set = [], deleted = [] } = objects.take();
  return {
    set: set.map((manifest) => `${objectKey(manifest)} ${manifest.place.file}`),
    deleted: deleted.map((ref) => objectKey(ref)),
  };
}

test('a missing document is deleted when its time has come, and not when it is back before', () => {
  const objects = folder(['a', service('x') + service('y')]);
  objects.read('a', parseManifests(service('y'), 'a'), 1_000);
  expect(taken(objects).deleted).toEqual([]);
  expect(objects.deadline()).toBe(1_200);
  objects.expire(1_199);
  expect(taken(objects).deleted).toEqual([]);
  objects.read('a', parseManifests(service('x') + service('y'), 'a'), 1_199);
  objects.expire(1_200);
  expect(taken(objects).deleted).toEqual([]);
  objects.gone('a', 2_000);
  objects.expire(2_200);
  expect(taken(objects).deleted).toEqual(['Service/default/x', 'Service/default/y']);
  expect([...objects.files()]).toEqual([]);
});

test('what goes one after the other is deleted together, and waits no longer than ten settling times', () => {
  const names = Array.from({ length: 30 }, (_, i) => `f${i}`);
  const objects = folder(...names.map((name): [string, string] => [name, service(name)]));
  for (const [i, name] of names.slice(0, 3).entries()) {
    objects.gone(name, 1_000 + 150 * i);
    objects.expire(1_000 + 150 * i);
  }
  objects.expire(1_499);
  expect(taken(objects).deleted).toEqual([]);
  expect(objects.deadline()).toBe(1_500);
  objects.expire(1_500);
  expect(taken(objects).deleted).toHaveLength(3);

  const deleted = names.slice(3).map((name, i) => {
    objects.gone(name, 10_000 + 150 * i);
    objects.expire(10_000 + 150 * i);
    return taken(objects).deleted.length;
  });
  // Those that had been missing for one settling time when the patience ended.
  expect(deleted.map((count, i) => [i, count]).filter(([, count]) => count !== 0)).toEqual([[14, 13]]);
});

test('an object that moved to another file is never missing, and its new version counts at once', () => {
  const objects = folder(['a', service('x')]);
  objects.gone('a', 1_000);
  objects.read('z', parseManifests(service('x', 81), 'z'), 1_001);
  expect(taken(objects)).toEqual({ set: ['Service/default/x z'], deleted: [] });
  objects.expire(5_000);
  expect(taken(objects)).toEqual({ set: [], deleted: [] });
});

test('a document that cannot be named may be any of its file, a named one is only itself', () => {
  const objects = folder(['a', service('x') + service('y')]);
  objects.read('a', parseManifests('---\nkind: Service\n', 'a'), 0);
  expect(objects.deadline()).toBeUndefined();
  objects.read('a', parseManifests(service('x').replace('80', 'eighty'), 'a'), 0);
  objects.expire(1_000);
  expect(taken(objects).deleted).toEqual(['Service/default/y']);
});

test('a file that stops parsing while a document of it is missing keeps the document', () => {
  const objects = folder(['a', service('x')]);
  objects.read('a', parseManifests('', 'a'), 0);
  objects.read('a', parseManifests('kind: [', 'a'), 100);
  objects.expire(1_000);
  expect(taken(objects).deleted).toEqual([]);
});

test('nothing is missing while the folder cannot be looked at', () => {
  const objects = folder(['a', service('x')]);
  objects.gone('a', 0);
  objects.stayAll();
  objects.expire(1_000);
  expect(taken(objects).deleted).toEqual([]);
});
