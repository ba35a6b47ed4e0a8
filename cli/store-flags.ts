import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import type { StoreChoice } from '../hub/store/open-store.ts';
import { HeadgateError } from '../lib/errors.ts';
import { printable } from '../lib/printable.ts';

/** Of every command that opens a hub's store. */
export const storeFlags = {
  store: z.string(),
  storePrefix: z
    .string()
    .regex(/^\/?[A-Za-z0-9._-]+(\/[A-Za-z0-9._-]+)*\/?$/, 'must be words of A-Z, a-z, 0-9, ., _ and - parted by /'),
  storeCa: z.string().min(1).optional(),
  storeCert: z.string().min(1).optional(),
  storeKey: z.string().min(1).optional(),
  storeUser: z.string().min(1).optional(),
  storePasswordFile: z.string().min(1).optional(),
};

type StoreFlags = z.output<z.ZodObject<typeof storeFlags>>;

/**
 * What the flags say of the store.
 *
 * @param data folder of an embedded store.
 * @throws HeadgateError HG2001 for flags that do not go together, HG2003 for a file that cannot be read
 */
export async function storeChoice(flags: StoreFlags, data: string | undefined): Promise<StoreChoice> {
  const { store, storePrefix, storeUser, storePasswordFile } = flags;
  if (store === 'embedded') {
    for (const name of ['storeCa', 'storeCert', 'storeKey', 'storeUser', 'storePasswordFile'] as const)
      if (flags[name] !== undefined)
        throw usage(`${flagOf(name)} has no meaning for the embedded store`, 'leave it out');
    if (data === undefined) throw usage('--data is missing', 'see --help');
    return { kind: 'embedded', folder: data };
  }
  together(flags, 'storeCert', 'storeKey');
  together(flags, 'storeUser', 'storePasswordFile');
  const urls = parseUrls(store);
  const secure = urls[0]?.startsWith('https:') === true;
  if (!secure && (flags.storeCa ?? flags.storeCert) !== undefined)
    throw usage('--store-ca and --store-cert have no meaning for http URLs', 'give https URLs');
  return {
    kind: 'etcd',
    settings: {
      urls,
      prefix: `/${storePrefix.replaceAll(/^\/|\/$/g, '')}/`,
      tls: {
        ...(flags.storeCa === undefined ? {} : { ca: await read(flags.storeCa) }),
        ...(flags.storeCert === undefined ? {} : { certificate: await read(flags.storeCert) }),
        ...(flags.storeKey === undefined ? {} : { privateKey: await read(flags.storeKey) }),
      },
      user:
        storeUser === undefined || storePasswordFile === undefined
          ? undefined
          : { name: storeUser, password: (await read(storePasswordFile)).toString('utf8').replace(/\r?\n$/, '') },
    },
  };
}

function parseUrls(store: string): string[] {
  const remedy = 'use --store embedded, or for example --store etcd:https://etcd-0:2379,https://etcd-1:2379';
  if (!store.startsWith('etcd:')) throw usage(`--store ${printable(store.slice(0, 200))} is unknown`, remedy);
  const urls = store.slice('etcd:'.length).split(',');
  const parsed = urls.map((text) => {
    const url = URL.parse(text);
    const bare = url !== null && url.pathname === '/' && url.search === '' && url.hash === '' && url.username === '';
    if (!bare || !['http:', 'https:'].includes(url.protocol) || url.port === '')
      throw usage(`--store: "${printable(text.slice(0, 200))}" is not http://HOST:PORT or https://HOST:PORT`, remedy);
    return url;
  });
  if (new Set(parsed.map(({ protocol }) => protocol)).size > 1)
    throw usage('--store mixes http and https', 'give URLs of one kind');
  return parsed.map(({ protocol, host }) => `${protocol}//${host}`);
}

function together(flags: StoreFlags, one: keyof StoreFlags, other: keyof StoreFlags): void {
  if ((flags[one] === undefined) === (flags[other] === undefined)) return;
  throw usage(`${flagOf(one)} and ${flagOf(other)} belong together`, 'give both or neither');
}

async function read(file: string): Promise<Buffer> {
  try {
    return await readFile(file);
  } catch (cause) {
    const why = cause instanceof Error && 'code' in cause ? String(cause.code) : String(cause);
    throw new HeadgateError('HG2003', `'${file}' cannot be read: ${why}`, { cause, remedy: 'check its name and mode' });
  }
}

function usage(message: string, remedy: string): HeadgateError {
  return new HeadgateError('HG2001', message, { remedy });
}

function flagOf(name: string): string {
  return `--${name.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}
