import { mkdtemp, mkdir, open, rename, rm, symlink, unlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { systemClock } from '../../../lib/clock.ts';
import { silentLog } from '../../../lib/log.ts';
import { Inventory } from '../../../lib/sync/index.ts';
import { Endpoints } from '../../../proto/gen/headgate/v1/configured.ts';
import { Ingress, Problem, Service } from '../../../proto/gen/headgate/v1/reported.ts';
import type { SourceChange } from '../source.ts';
import { directorySource } from './directory-source.ts';

let parent: string;
let folder: string;
let follower: Follower | undefined;

beforeEach(async () => {
  parent = await mkdtemp(join(tmpdir(), 'headgate-directory-'));
  folder = join(parent, 'manifests');
  await mkdir(folder);
});

afterEach(async () => {
  await follower?.stop();
  follower = undefined;
  await rm(parent, { recursive: true, force: true });
});

/** Reads a source as the agent does, and keeps what all its changes came to. */
class Follower {
  readonly inventory = new Inventory();
  readonly changes: SourceChange[] = [];
  readonly #stop = new AbortController();
  readonly #iterator: AsyncIterator<SourceChange>;
  #pending: Promise<IteratorResult<SourceChange>> | undefined;

  constructor(rescanMs: number) {
    const source = directorySource({ folder, clock: systemClock, log: silentLog, settleMs: 200, rescanMs });
    this.#iterator = source.changes(this.#stop.signal)[Symbol.asyncIterator]();
  }

  async next(): Promise<SourceChange> {
    this.#pending ??= this.#iterator.next();
    const result = await this.#pending;
    this.#pending = undefined;
    if (result.done === true) throw new Error('the source ended');
    this.changes.push(result.value);
    this.inventory.apply(result.value.report);
    this.inventory.apply(result.value.own);
    return result.value;
  }

  /** Reads changes until something holds. */
  async until(holds: () => boolean): Promise<void> {
    while (!holds()) await this.next();
  }

  /** Whether no change comes for as long. */
  async isSilent(ms: number): Promise<boolean> {
    this.#pending ??= this.#iterator.next();
    return (await Promise.race([this.#pending, systemClock.sleep(ms)])) === undefined;
  }

  names(type: string): string[] {
    return [...this.inventory.ofType(type)].map(({ name }) => name).sort();
  }

  hosts(name: string): string[] {
    const body = this.inventory.get('ingress', name)?.body;
    return body === undefined ? [] : Ingress.decode(body).rules.map(({ host }) => host);
  }

  /** Names of every resource whose removal was ever told. */
  removed(type: string): string[] {
    return this.changes
      .flatMap(({ report }) => report.removals)
      .flatMap((key) => (key.type === type ? [key.name] : []));
  }

  problems(): string[] {
    return [...this.inventory.ofType('problem')]
      .map(({ body }) => Problem.decode(body))
      .map(({ code, place, field, message }) => `${code} ${place} ${field}: ${message}`)
      .sort();
  }

  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#pending;
    await this.#iterator.return?.();
  }
}

async function follow({ rescanMs = 60_000 } = {}): Promise<Follower> {
  follower = new Follower(rescanMs);
  await follower.next();
  return follower;
}

function ingress(name: string, host = `${name}.example`): string {
  return `apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: { name: ${name}, namespace: shop }
spec:
  rules:
  - host: ${host}
    http: { paths: [{ path: /, pathType: Prefix, backend: { service: { name: web, port: { number: 80 } } } }] }
`;
}

const service = `apiVersion: v1
kind: Service
metadata: { name: web, namespace: shop }
spec: { ports: [{ port: 80 }] }
`;

function slice(...addresses: string[]): string {
  return `apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: { name: web-1, namespace: shop, labels: { kubernetes.io/service-name: web } }
addressType: IPv4
ports: [{ port: 8080 }]
endpoints: ${JSON.stringify(addresses.map((address) => ({ addresses: [address] })))}
`;
}

const at = (name: string): string => join(folder, name);

/** As careful editors and tools do. */
async function replace(name: string, text: string): Promise<void> {
  await writeFile(at(`.${name.replaceAll('/', '-')}.tmp`), text);
  await rename(at(`.${name.replaceAll('/', '-')}.tmp`), at(name));
}

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
    follower = new Follower(60_000);
    expect(await follower.isSilent(50)).toBe(true);
    await mkdir(folder);
    await writeFile(at('a.yaml'), ingress('a'));
    await follower.until(() => follower?.names('ingress').length === 1);
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
