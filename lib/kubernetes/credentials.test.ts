import { chmod, mkdir, mkdtempDisposable, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { expect, test } from 'vitest';
import { stringify } from 'yaml';
import { systemClock } from '../clock.ts';
import { openCredentials } from './credentials.ts';
import { readKubeconfig } from './kubeconfig.ts';

interface Written {
  readonly user?: object;
  readonly cluster?: object;
  readonly context?: string | undefined;
}

async function kubeconfig(path: string, { user = {}, cluster = {}, context = 'c' }: Written): Promise<string> {
  const content = {
    'current-context': context,
    contexts: [{ name: 'c', context: { cluster: 'eu', user: 'agent' } }],
    clusters: [{ name: 'eu', cluster: { server: 'https://127.0.0.1:1/', ...cluster } }],
    users: [{ name: 'agent', user }],
  };
  await writeFile(path, stringify(content));
  return path;
}

const scratch = (): ReturnType<typeof mkdtempDisposable> => mkdtempDisposable(join(tmpdir(), 'headgate-credentials-'));

test('files are found beside the kubeconfig that names them, and read anew', async () => {
  await using folder = await scratch();
  await mkdir(join(folder.path, 'pki'));
  await writeFile(join(folder.path, 'pki', 'ca.pem'), 'old');
  await writeFile(join(folder.path, 'token'), 'one\n');
  const path = await kubeconfig(join(folder.path, 'config'), {
    user: { tokenFile: 'token' },
    cluster: { 'certificate-authority': 'pki/ca.pem', 'tls-server-name': 'kubernetes' },
  });
  const credentials = await openCredentials(path, systemClock);
  expect(credentials.server).toBe('https://127.0.0.1:1');
  expect(await credentials.tls()).toEqual({ ca: 'old', servername: 'kubernetes', rejectUnauthorized: true });
  expect(await credentials.authorization()).toBe('Bearer one');
  await writeFile(join(folder.path, 'pki', 'ca.pem'), 'new');
  await writeFile(join(folder.path, 'token'), 'two\n');
  expect(await credentials.tls()).toMatchObject({ ca: 'new' });
  // Until it is old, or was refused.
  expect(await credentials.authorization()).toBe('Bearer one');
  credentials.refresh();
  expect(await credentials.authorization()).toBe('Bearer two');
});

function exec(command: string): object {
  const env = [{ name: 'WORD', value: 'secret' }];
  return { exec: { apiVersion: 'client.authentication.k8s.io/v1', command, env } };
}

test('an exec plugin gives a token, which is kept; it is told of the cluster, and its failure shows nothing', async () => {
  await using folder = await scratch();
  const plugin = join(folder.path, 'plugin');
  const credential = '{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","status":{"token":"%s"}}';
  await writeFile(
    plugin,
    `#!/bin/sh
echo run >> "${folder.path}/runs"
case "$KUBERNETES_EXEC_INFO" in *https://127.0.0.1:1*) ;; *) exit 1;; esac
printf '${credential}' "$WORD"
`,
  );
  await chmod(plugin, 0o700);
  const good = await openCredentials(await kubeconfig(join(folder.path, 'good'), { user: exec(plugin) }), systemClock);
  expect(await good.authorization()).toBe('Bearer secret');
  expect(await good.authorization()).toBe('Bearer secret');
  const bad = await openCredentials(
    await kubeconfig(join(folder.path, 'bad'), { user: exec('/bin/false') }),
    systemClock,
  );
  await expect(bad.authorization()).rejects.toMatchObject({ code: 'HG2005' });
});

test('of several files the first that names something counts', async () => {
  await using folder = await scratch();
  const first = join(folder.path, 'first');
  await writeFile(first, stringify({ 'current-context': 'c', users: [{ name: 'agent', user: { token: 'mine' } }] }));
  const second = await kubeconfig(join(folder.path, 'second'), { user: { token: 'theirs' }, context: 'none' });
  expect(await readKubeconfig([first, second].join(delimiter))).toMatchObject({ token: 'mine' });
});

test.each<[string, Written, string]>([
  ['a proxy', { cluster: { 'proxy-url': 'http://proxy' } }, 'HG1010'],
  ['an auth-provider', { user: { 'auth-provider': { name: 'gcp' } } }, 'HG1010'],
  ['plain HTTP', { cluster: { server: 'http://127.0.0.1:1' } }, 'HG1010'],
  ['a context that is not there', { context: 'other' }, 'HG1002'],
  ['a token that is no text', { user: { token: 1 } }, 'HG1002'],
])('%s is refused with its remedy', async (_what, written, code) => {
  await using folder = await scratch();
  const path = await kubeconfig(join(folder.path, 'config'), written);
  const remedy = expect.stringMatching(/./) as string;
  await expect(openCredentials(path, systemClock)).rejects.toMatchObject({ code, remedy });
});

test('a file that is not there, or no YAML, is named, and nothing of it shown', async () => {
  await using folder = await scratch();
  await expect(openCredentials(join(folder.path, 'none'), systemClock)).rejects.toMatchObject({ code: 'HG2003' });
  const path = join(folder.path, 'broken');
  await writeFile(path, 'token: "hush\n');
  await expect(openCredentials(path, systemClock)).rejects.toMatchObject({
    code: 'HG1001',
    message: expect.not.stringContaining('hush') as string,
  });
});
