import { mkdir, open, rename, rm, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { systemClock } from '../../../lib/clock.ts';
import { openFolderMemory } from './folder-memory.ts';
import { at, folder, follow, ingress, parent, replace, service, useFolder } from './follower.fixture.ts';

useFolder();

describe('how editors save', () => {
  test('truncate and write, in pieces', async () => {
    await writeFile(at('a.yaml'), `${ingress('a')}---\n${ingress('b')}`);
    const reader = await follow();
    const text = `${ingress('a', 'new.example')}---\n${ingress('b')}`;
    const file = await open(at('a.yaml'), 'w');
    for (let from = 0; from < text.length; from += 40) {
      await file.write(text.slice(from, from + 40));
      await systemClock.sleep(2);
    }
    await file.close();
    await reader.until(() => reader.hosts('shop/a').includes('new.example'));
    expect(await reader.isSilent(300)).toBe(true);
    expect(reader.removed('ingress')).toEqual([]);
    expect(reader.problems().filter((line) => line.startsWith('HG1001'))).toEqual([]);
  });

  test('delete and write anew', async () => {
    await writeFile(at('a.yaml'), ingress('a'));
    const reader = await follow();
    await unlink(at('a.yaml'));
    await systemClock.sleep(20);
    await writeFile(at('a.yaml'), ingress('a', 'new.example'));
    await reader.until(() => reader.hosts('shop/a').includes('new.example'));
    expect(await reader.isSilent(300)).toBe(true);
    expect(reader.removed('ingress')).toEqual([]);
  });

  test('move away and write anew, as with backups', async () => {
    await writeFile(at('a.yaml'), ingress('a'));
    const reader = await follow();
    await rename(at('a.yaml'), at('a.yaml~'));
    await writeFile(at('a.yaml'), ingress('a', 'new.example'));
    await unlink(at('a.yaml~'));
    await reader.until(() => reader.hosts('shop/a').includes('new.example'));
    expect(await reader.isSilent(300)).toBe(true);
    expect(reader.removed('ingress')).toEqual([]);
  });

  test('a renamed file and a renamed folder keep their objects', async () => {
    await mkdir(at('shop'));
    await writeFile(at('shop/a.yaml'), ingress('a'));
    await writeFile(at('b.yaml'), ingress('b'));
    await writeFile(at('web.yaml'), service);
    const reader = await follow();
    await rename(at('shop'), at('store'));
    await rename(at('b.yaml'), at('z.yaml'));
    expect(await reader.isSilent(300)).toBe(true);
    // The folder is watched under its new name.
    await replace('store/a.yaml', ingress('a', 'new.example'));
    await reader.until(() => reader.hosts('shop/a').includes('new.example'));
    await unlink(at('z.yaml'));
    await reader.until(() => !reader.names('ingress').includes('shop/b'));
    expect(reader.names('ingress')).toEqual(['shop/a']);
    expect(reader.problems().filter((line) => line.includes('metadata.name'))).toEqual([]);
  });
});

describe('what is wrong', () => {
  test('a file that does not parse changes nothing, is named with its line, and is forgotten when mended', async () => {
    await writeFile(at('a.yaml'), `${ingress('a')}---\n${ingress('b')}`);
    await writeFile(at('web.yaml'), service);
    const reader = await follow();
    await replace('a.yaml', `${ingress('a', 'new.example')}---\nkind: [\n`);
    await reader.until(() => reader.problems().some((line) => line.startsWith('HG1001 a.yaml:')));
    expect(await reader.isSilent(300)).toBe(true);
    expect(reader.names('ingress')).toEqual(['shop/a', 'shop/b']);
    expect(reader.hosts('shop/a')).toEqual(['a.example']);
    await replace('a.yaml', ingress('a', 'new.example'));
    await reader.until(() => reader.names('ingress').length === 1);
    expect(reader.problems()).toEqual([]);
    expect(reader.hosts('shop/a')).toEqual(['new.example']);
  });

  test('a document that is wrong keeps its last good state, and the others go on', async () => {
    await writeFile(at('a.yaml'), `${ingress('a')}---\n${ingress('b')}`);
    const reader = await follow();
    await replace('a.yaml', `${ingress('a', '7')}---\n${ingress('b', 'new.example')}`);
    await reader.until(() => reader.hosts('shop/b').includes('new.example'));
    expect(await reader.isSilent(300)).toBe(true);
    expect(reader.hosts('shop/a')).toEqual(['a.example']);
    expect(reader.problems().filter((line) => line.startsWith('HG1002'))).toEqual([
      'HG1002 a.yaml:6 spec.rules[0].host: must be a string, not a number',
    ]);
  });

  test('one object in two files: the first by path has it, and the other takes over', async () => {
    await writeFile(at('b.yaml'), `${ingress('a', 'second.example')}---\n${service}`);
    await writeFile(at('a.yaml'), ingress('a', 'first.example'));
    const reader = await follow();
    expect(reader.hosts('shop/a')).toEqual(['first.example']);
    expect(reader.problems()).toEqual([
      'HG1002 b.yaml:1 metadata.name: Ingress shop/a is also in a.yaml:1, and that document is used',
    ]);
    await unlink(at('a.yaml'));
    await reader.until(() => reader.hosts('shop/a').includes('second.example'));
    expect(reader.problems()).toEqual([]);
  });

  test('a restart while a file is broken keeps what the file was', async () => {
    const memoryOptions = { file: join(parent, 'memory.db'), keyFile: join(parent, 'key') };
    await writeFile(at('a.yaml'), ingress('a'));
    await writeFile(at('b.yaml'), `${ingress('b')}---\n${ingress('c')}`);
    await writeFile(at('gone.yaml'), ingress('gone'));
    using memory = await openFolderMemory(memoryOptions);
    let reader = await follow({ memory });
    await replace('new.yaml', ingress('new'));
    await reader.until(() => reader.names('ingress').includes('shop/new'));
    await replace('new.yaml', ingress('new', 'newer.example'));
    await reader.until(() => reader.hosts('shop/new').includes('newer.example'));
    await reader.stop();

    await unlink(at('gone.yaml'));
    await writeFile(at('a.yaml'), 'kind: [');
    await writeFile(at('b.yaml'), `${ingress('b', '7')}---\n${ingress('c', 'later.example')}`);
    await writeFile(at('new.yaml'), 'kind: [');
    using later = await openFolderMemory(memoryOptions);
    reader = await follow({ memory: later });
    expect(reader.names('ingress')).toEqual(['shop/a', 'shop/b', 'shop/c', 'shop/new']);
    expect(reader.hosts('shop/c')).toEqual(['later.example']);
    expect(reader.hosts('shop/new')).toEqual(['newer.example']);
    expect(await reader.isSilent(300)).toBe(true);
    expect(later.paths()).not.toContain('gone.yaml');
  });

  test('a folder that vanishes takes nothing with it', async () => {
    await writeFile(at('a.yaml'), `${ingress('a')}---\n${service}`);
    const reader = await follow({ rescanMs: 100 });
    await rm(folder, { recursive: true });
    await reader.until(() => reader.problems().some((line) => line.startsWith('HG2003')));
    expect(await reader.isSilent(300)).toBe(true);
    expect(reader.names('ingress')).toEqual(['shop/a']);
    await mkdir(folder);
    await writeFile(at('b.yaml'), `${ingress('b')}---\n${service}`);
    await reader.until(() => reader.names('ingress').join() === 'shop/b');
    await reader.until(() => reader.problems().length === 0);
  });

  test('a file beyond 4 MiB is refused by name', async () => {
    const reader = await follow();
    await replace('big.yaml', '#'.repeat(4 * 1024 * 1024 + 1));
    await reader.until(() => reader.problems().length === 1);
    expect(reader.problems()[0]).toMatch(/^HG1001 big\.yaml:1 : does not parse: the file is larger than 4 MiB/);
  });
});
