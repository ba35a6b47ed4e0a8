import { mkdir, rm, symlink, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { systemClock } from '../../../lib/clock.ts';
import { Endpoints } from '../../../proto/gen/headgate/v1/configured.ts';
import { Service } from '../../../proto/gen/headgate/v1/reported.ts';
import { at, begin, folder, follow, ingress, parent, replace, service, slice, useFolder } from './follower.fixture.ts';

useFolder();

describe('what is there', () => {
  test('the first change holds everything, from sub-folders too, without dotfiles and other files', async () => {
    await mkdir(at('a/b'), { recursive: true });
    await mkdir(at('.hidden'));
    await writeFile(at('a/b/one.yaml'), ingress('one'));
    await writeFile(at('a/two.yml'), ingress('two'));
    await writeFile(at('three.json'), JSON.stringify({ apiVersion: 'v1', kind: 'List', items: [] }));
    await writeFile(at('web.yaml'), `${service}---\n${slice('127.0.0.1')}`);
    await writeFile(at('.four.yaml'), ingress('four'));
    await writeFile(at('.hidden/five.yaml'), ingress('five'));
    await writeFile(at('six.txt'), ingress('six'));
    const reader = await follow();
    expect(reader.names('ingress')).toEqual(['shop/one', 'shop/two']);
    expect(reader.names('service')).toEqual(['shop/web']);
    expect(reader.names('endpoints')).toEqual(['shop/web-1']);
    expect(reader.problems()).toEqual([]);
  });

  test('an empty folder is told at once', async () => {
    const reader = await follow();
    expect([...reader.inventory.all()]).toEqual([]);
  });

  test('a folder that is not there yet is silence, not emptiness', async () => {
    await rm(folder, { recursive: true });
    const reader = begin();
    expect(await reader.isSilent(50)).toBe(true);
    await mkdir(folder);
    await writeFile(at('a.yaml'), ingress('a'));
    await reader.until(() => reader.names('ingress').length === 1);
  });

  test('links to files are read, links to folders are not followed', async () => {
    await mkdir(join(parent, 'outside'));
    await writeFile(join(parent, 'outside/a.yaml'), ingress('a'));
    await writeFile(join(parent, 'outside/b.yaml'), ingress('b'));
    await symlink(join(parent, 'outside'), at('linked'));
    await symlink(join(parent, 'outside'), at('linked.yaml'));
    await symlink(join(parent, 'outside/b.yaml'), at('b.yaml'));
    const reader = await follow();
    expect(reader.names('ingress')).toEqual(['shop/b']);
  });
});

describe('changes', () => {
  test('a new file, a replaced one, and one in a new folder', async () => {
    const reader = await follow();
    await replace('a.yaml', ingress('a'));
    await reader.until(() => reader.names('ingress').includes('shop/a'));
    await replace('a.yaml', ingress('a', 'other.example'));
    await reader.until(() => reader.hosts('shop/a').includes('other.example'));
    await mkdir(at('deep/er'), { recursive: true });
    await writeFile(at('deep/er/b.yaml'), ingress('b'));
    await reader.until(() => reader.names('ingress').includes('shop/b'));
    await writeFile(at('deep/er/c.yaml'), ingress('c'));
    await reader.until(() => reader.names('ingress').includes('shop/c'));
    expect(reader.names('ingress')).toEqual(['shop/a', 'shop/b', 'shop/c']);
  });

  test('endpoints go down the fast lane, and their count up', async () => {
    await writeFile(at('a.yaml'), `${ingress('a')}---\n${service}`);
    await writeFile(at('slice.yaml'), slice('127.0.0.1'));
    const reader = await follow();
    await replace('slice.yaml', slice('127.0.0.1', '127.0.0.2'));
    const change = await reader.next();
    expect(change.own.upserts.map(({ body }) => Endpoints.decode(body).endpoints.length)).toEqual([2]);
    const ready = (): number | undefined => {
      const body = reader.inventory.get('service', 'shop/web')?.body;
      return body === undefined ? undefined : Service.decode(body).ports[0]?.ready;
    };
    await reader.until(() => ready() === 2);
  });

  test('ready counts of one Service are told at most ten times a second, endpoints always', async () => {
    await writeFile(at('a.yaml'), `${ingress('a')}---\n${service}`);
    await writeFile(at('slice.yaml'), slice('127.0.0.1'));
    const reader = await follow();
    const told = (): number =>
      reader.changes.filter(({ report }) => report.upserts.some(({ type }) => type === 'service')).length;
    const from = systemClock.now();
    const before = told();
    for (let count = 2; count <= 6; count += 1) {
      const addresses = Array.from({ length: count }, (_, index) => `127.0.0.${index + 1}`);
      await replace('slice.yaml', slice(...addresses));
      await reader.until(() => {
        const body = reader.inventory.get('endpoints', 'shop/web-1')?.body;
        return body !== undefined && Endpoints.decode(body).endpoints.length === count;
      });
    }
    await reader.until(() => {
      const body = reader.inventory.get('service', 'shop/web')?.body;
      return body !== undefined && Service.decode(body).ports[0]?.ready === 6;
    });
    expect(told() - before).toBeLessThanOrEqual(Math.ceil((systemClock.now() - from) / 100) + 1);
  });

  test('a document gone is a deletion, after it has been gone for a while', async () => {
    await writeFile(at('a.yaml'), `${ingress('a')}---\n${ingress('b')}`);
    await writeFile(at('c.yaml'), ingress('c'));
    const reader = await follow();
    const from = systemClock.now();
    await replace('a.yaml', ingress('a'));
    await unlink(at('c.yaml'));
    await reader.until(() => reader.names('ingress').length === 1);
    expect(systemClock.now() - from).toBeGreaterThanOrEqual(200);
    expect(reader.names('ingress')).toEqual(['shop/a']);
  });

  test('what the watch missed, a rescan finds', async () => {
    await writeFile(join(parent, 'target.yaml'), ingress('a'));
    // Nothing tells of a change behind a link.
    await symlink(join(parent, 'target.yaml'), at('a.yaml'));
    const reader = await follow({ rescanMs: 50 });
    await writeFile(join(parent, 'target.yaml'), ingress('a', 'later.example'));
    await reader.until(() => reader.hosts('shop/a').includes('later.example'));
    expect(reader.hosts('shop/a')).toEqual(['later.example']);
  });
});

describe('size and speed', () => {
  test('5,000 files are listed in seconds, and one change among them costs one file', async () => {
    await Promise.all(
      Array.from({ length: 50 }, async (_, group) => {
        await mkdir(at(`g${group}`));
        for (let index = 0; index < 100; index += 1) {
          await writeFile(at(`g${group}/${index}.yaml`), ingress(`i-${group}-${index}`));
        }
      }),
    );
    const from = systemClock.now();
    const reader = await follow();
    const listed = systemClock.now() - from;
    expect(reader.names('ingress').length).toBe(5_000);
    expect(listed).toBeLessThan(20_000);
    const changed = systemClock.now();
    await replace('g7/7.yaml', ingress('i-7-7', 'new.example'));
    await reader.until(() => reader.hosts('shop/i-7-7').includes('new.example'));
    expect(systemClock.now() - changed).toBeLessThan(1_000);
  });
});
