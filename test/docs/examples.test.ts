import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { expect, test } from 'vitest';
import { codes } from '../../lib/errors.ts';
import { parseManifests } from '../../lib/manifest/parse.ts';
import { faultOf } from './commands.ts';
import { allBlocks, anchorsOf, pages, root, textOf } from './pages.ts';
import { headgateCommands } from './shell.ts';

const manifests = [
  ...allBlocks('yaml').map(({ page, line, text }) => ({ place: `${page}:${line}`, text })),
  ...globSync('docs/tour/**/*.yaml', { cwd: root }).map((place) => ({
    place,
    text: readFileSync(join(root, place), 'utf8'),
  })),
];

test.each(manifests)('$place holds objects without a fault', ({ place, text }) => {
  const { documents, errors } = parseManifests(text, place);
  expect(errors.map(({ error }) => error.line())).toEqual([]);
  expect(documents.length).toBeGreaterThan(0);
});

test.each(allBlocks('sh'))('commands of $page:$line exist, with their flags', ({ text }) => {
  expect(
    headgateCommands(text)
      .map(faultOf)
      .filter((fault) => fault !== undefined),
  ).toEqual([]);
});

test('a command or a flag that does not exist is seen', () => {
  const seen = headgateCommands('bin/headgate frob\nA=1 headgate get routes --nope | x; headgate cluster ad eu &').map(
    faultOf,
  );
  expect(seen).toEqual(['there is no command frob', 'get has no --nope', 'cluster has no ad']);
});

test.each(pages())('links of %s lead somewhere', (page) => {
  const broken: string[] = [];
  for (const [, target = ''] of textOf(page)
    .replaceAll(/```[\s\S]*?```/g, '')
    .matchAll(/\]\(([^)\s]+)\)/g)) {
    if (/^[a-z]+:/.test(target)) continue;
    const [path = '', anchor] = target.split('#');
    const file = path === '' ? page : normalize(join(dirname(page), path));
    const there = existsSync(join(root, file)) && (anchor === undefined || anchorsOf(file).has(anchor));
    if (!there) broken.push(target);
  }
  expect(broken).toEqual([]);
});

test.each(pages())('codes in %s exist', (page) => {
  const named = [...textOf(page).matchAll(/\bHG\d{4}\b/g)].map(([code]) => code);
  expect(named.filter((code) => !Object.hasOwn(codes, code))).toEqual([]);
});

test('every metric is in the operators’ table, and the table has no other', () => {
  const documented = new Set(
    [...textOf('docs/operations.md').matchAll(/^\| `(headgate_\w+)/gm)].map(([, name]) => name),
  );
  const sources = globSync('{hub,agent,lib}/**/*.ts', { cwd: root }).filter((file) => !file.endsWith('.test.ts'));
  const declared = new Set<string>();
  for (const file of sources) {
    for (const [, name = ''] of readFileSync(join(root, file), 'utf8').matchAll(/'(headgate_[a-z_]+)'/g))
      declared.add(name);
  }
  expect(documented).toEqual(declared);
});

test('docs/promises.md names tests that exist, and every test with a number', () => {
  const rows = new Map(
    [...textOf('docs/promises.md').matchAll(/^\| (\d+) +\|(.*)$/gm)].map(([, number = '', row = '']) => [
      Number(number),
      row,
    ]),
  );
  expect([...rows.keys()]).toEqual(Array.from({ length: 30 }, (_, index) => index + 1));
  const named = [...textOf('docs/promises.md').matchAll(/`((?:agent|hub|lib|test)\/[\w./-]+\.test\.ts)`/g)];
  expect(named.map(([, file = '']) => file).filter((file) => !existsSync(join(root, file)))).toEqual([]);
  const missing = new Set<string>();
  for (const file of globSync('{lib,hub,agent,cli,test}/**/*.test.ts', { cwd: root })) {
    for (const [, number = ''] of readFileSync(join(root, file), 'utf8').matchAll(
      /(?:test|describe)[^\n]*'promise-(\d+)/g,
    )) {
      if (rows.get(Number(number))?.includes(`\`${file}\``) !== true)
        missing.add(`row ${Number(number)} does not name ${file}`);
    }
  }
  expect([...missing]).toEqual([]);
});
