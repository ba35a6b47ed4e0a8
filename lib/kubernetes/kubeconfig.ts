import { readFile } from 'node:fs/promises';
import { delimiter, dirname, resolve } from 'node:path';
import { parse } from 'yaml';
import { z } from 'zod';
import { HeadgateError } from '../errors.ts';

const text = z.string().min(1).optional();

const clusterShape = z.object({
  server: z.string().min(1),
  'certificate-authority': text,
  'certificate-authority-data': text,
  'insecure-skip-tls-verify': z.boolean().optional(),
  'tls-server-name': text,
  'proxy-url': text,
});

const userShape = z.object({
  token: text,
  tokenFile: text,
  'client-certificate': text,
  'client-certificate-data': text,
  'client-key': text,
  'client-key-data': text,
  exec: z
    .object({
      apiVersion: z.string(),
      command: z.string().min(1),
      args: z.array(z.string()).nullish(),
      env: z.array(z.object({ name: z.string(), value: z.string() })).nullish(),
    })
    .optional(),
  'auth-provider': z.unknown().optional(),
});

const fileShape = z.object({
  'current-context': z.string().optional(),
  clusters: z.array(z.object({ name: z.string(), cluster: clusterShape })).nullish(),
  users: z.array(z.object({ name: z.string(), user: userShape })).nullish(),
  contexts: z
    .array(z.object({ name: z.string(), context: z.object({ cluster: z.string(), user: z.string() }) }))
    .nullish(),
});

export type ExecPlugin = NonNullable<z.output<typeof userShape>['exec']>;

/** PEM as the file holds it, or a file that holds it. */
export type PemSource = { readonly pem: string } | { readonly file: string };

/** How to reach an API server, and as whom. */
export interface Kubeconfig {
  readonly server: string;
  readonly ca: PemSource | undefined;
  readonly verify: boolean;
  /** Name to verify in place of the server's. */
  readonly serverName: string | undefined;
  readonly certificate: PemSource | undefined;
  readonly key: PemSource | undefined;
  readonly token: string | undefined;
  readonly tokenFile: string | undefined;
  readonly exec: ExecPlugin | undefined;
}

/**
 * The current context of kubeconfig files; of several that define one name the first counts, as kubectl has it.
 * @param paths one file, or several as KUBECONFIG lists them.
 * @throws HeadgateError HG2003 where a file cannot be read, HG1002 where it is none
 */
export async function readKubeconfig(paths: string): Promise<Kubeconfig> {
  const files = await Promise.all(
    paths
      .split(delimiter)
      .filter((path) => path !== '')
      .map(readOne),
  );
  const name = files.map(({ content }) => content['current-context']).find((context) => (context ?? '') !== '');
  const missing = (what: string): HeadgateError =>
    new HeadgateError('HG1002', `kubeconfig ${paths} has no ${what}`, { remedy: 'correct it with "kubectl config"' });
  if (name === undefined) throw missing('current-context');
  const context = find(files, ({ contexts }) => contexts, name)?.entry.context;
  if (context === undefined) throw missing(`context ${name}`);
  const cluster = find(files, ({ clusters }) => clusters, context.cluster);
  if (cluster === undefined) throw missing(`cluster ${context.cluster}`);
  const user = find(files, ({ users }) => users, context.user);
  if (user === undefined) throw missing(`user ${context.user}`);
  const { cluster: where } = cluster.entry;
  const { user: who } = user.entry;
  if (where['proxy-url'] !== undefined || who['auth-provider'] !== undefined) {
    const what = who['auth-provider'] === undefined ? 'proxy-url' : 'auth-provider';
    throw new HeadgateError('HG1010', `kubeconfig ${paths} uses ${what}, which is not supported`, {
      remedy: what === 'proxy-url' ? 'name a server that is reached directly' : 'use a token, a certificate or exec',
    });
  }
  return {
    server: where.server.replace(/\/+$/, ''),
    ca: pem(where['certificate-authority-data'], where['certificate-authority'], cluster.folder),
    verify: where['insecure-skip-tls-verify'] !== true,
    serverName: where['tls-server-name'],
    certificate: pem(who['client-certificate-data'], who['client-certificate'], user.folder),
    key: pem(who['client-key-data'], who['client-key'], user.folder),
    token: who.token,
    tokenFile: who.tokenFile === undefined ? undefined : resolve(user.folder, who.tokenFile),
    exec: who.exec,
  };
}

type KubeconfigFile = z.output<typeof fileShape>;

async function readOne(path: string): Promise<{ content: KubeconfigFile; folder: string }> {
  let written: string;
  try {
    written = await readFile(path, 'utf8');
  } catch (cause) {
    throw new HeadgateError('HG2003', `kubeconfig ${path} cannot be read`, { remedy: 'give another', cause });
  }
  // Its parser's messages quote the text, which holds keys.
  let value: unknown;
  try {
    value = parse(written);
  } catch {
    throw new HeadgateError('HG1001', `kubeconfig ${path} is not YAML`, { remedy: 'give another' });
  }
  const parsed = fileShape.safeParse(value);
  if (parsed.success) return { content: parsed.data, folder: dirname(resolve(path)) };
  const field = parsed.error.issues[0]?.path.join('.') ?? '';
  throw new HeadgateError('HG1002', `kubeconfig ${path} is malformed at ${field === '' ? 'its top' : field}`, {
    remedy: 'correct it with "kubectl config"',
  });
}

function find<Entry extends { readonly name: string }>(
  files: readonly { readonly content: KubeconfigFile; readonly folder: string }[],
  entries: (content: KubeconfigFile) => readonly Entry[] | null | undefined,
  name: string,
): { readonly entry: Entry; readonly folder: string } | undefined {
  for (const { content, folder } of files) {
    const entry = entries(content)?.find((candidate) => candidate.name === name);
    if (entry !== undefined) return { entry, folder };
  }
  return undefined;
}

function pem(data: string | undefined, file: string | undefined, folder: string): PemSource | undefined {
  if (data !== undefined) return { pem: Buffer.from(data, 'base64').toString('latin1') };
  return file === undefined ? undefined : { file: resolve(folder, file) };
}
