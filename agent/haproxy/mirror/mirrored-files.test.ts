import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { silentLog } from '../../../lib/log.ts';
import { Planner } from '../plan/planner.ts';
import { ConfigFiles } from '../process/config-files.ts';
import { parseState, STATE_FILE } from '../process/state-file.ts';
import { fixed } from '../testing/fixed.fixture.ts';
import { backend, host } from '../testing/resources.fixture.ts';
import { MirroredFiles } from './mirrored-files.ts';

const MAP = 'maps/host.map';

let folder: string;
let planner: Planner;
let files: MirroredFiles;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'hg-files-'));
  const none = new Map<string, number>();
  planner = new Planner({
    cluster: 'eu',
    assignments: { slots: 8, profiles: [], peerSlots: 1, backends: none, peers: none },
  });
  const written = new ConfigFiles(folder, true);
  await written.prepare();
  files = new MirroredFiles({ files: written, planner, fixed, log: silentLog });
});

afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
  await rm(`${folder}.away`, { recursive: true, force: true });
});

function read(name: string): Promise<string> {
  return readFile(join(folder, name), 'utf8');
}

function apply(name: string): Iterable<string> {
  const resources = [backend('shop/a/80'), host(name, [{ path: '/', at: { eu: 'shop/a/80' } }])];
  return planner.apply({ upserts: resources, removals: [] }).files;
}

it('replaces whatever lies there by what is desired', async () => {
  await writeFile(join(folder, 'maps/other.map'), 'x');
  const rendered = await files.replaceAll();
  await expect(read('maps/other.map')).rejects.toMatchObject({ code: 'ENOENT' });
  for (const [name, text] of rendered) expect(await read(name)).toBe(text);
});

it('writes what could not be written with what comes next', async () => {
  await files.replaceAll();
  await rename(folder, `${folder}.away`);
  await mkdir(folder);
  await expect(files.write(apply('a.example'))).rejects.toMatchObject({ code: 'HG2003' });
  expect(files.areBehind).toBe(true);
  await rm(folder, { recursive: true });
  await rename(`${folder}.away`, folder);
  expect(await read(MAP)).not.toContain('a.example');
  await files.write([]);
  expect(files.areBehind).toBe(false);
  expect(await read(MAP)).toContain('a.example');
});

it('says of new credentials whether other CAs are trusted', async () => {
  expect(await files.writeGateway({ gatewayCertificate: 'next', gatewayCa: fixed.gatewayCa })).toBe(false);
  expect(await files.writeGateway({ gatewayCertificate: 'next', gatewayCa: 'another' })).toBe(true);
  expect(await read('gateway/gateway.pem')).toBe('next');
  expect(await read('gateway/ca.pem')).toBe('another');
});

it('notes for the next agent what HAProxy has loaded, and goes on where that cannot be', async () => {
  await files.saveState();
  expect(parseState(await read(STATE_FILE))).toMatchObject({
    http: fixed.listeners.http,
    loaded: files.loaded,
    slots: 8,
  });
  await rm(folder, { recursive: true });
  await files.saveState();
  await files.writeHealth('1\n');
  expect(files.areBehind).toBe(false);
});
