import { once } from 'node:events';
import { mkdtempDisposable, readdir } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { boundAddress } from '../lib/config/address.ts';
import type { AgentOptions } from './options.ts';
import { preflight } from './preflight.ts';

test('what would stop a first start is found before anything is made', async () => {
  await using root = await mkdtempDisposable(join(tmpdir(), 'headgate-preflight-'));
  const any = { host: '127.0.0.1', port: 0 };
  const good: AgentOptions = {
    hubs: [any],
    cluster: 'eu',
    node: 'a',
    roles: new Set(['cluster', 'node']),
    source: { kind: 'directory', folder: root.path },
    lease: undefined,
    publish: undefined,
    defaultCertificate: undefined,
    data: join(root.path, 'data'),
    join: undefined,
    nodeServiceAccount: undefined,
    listenHttp: any,
    listenHttps: any,
    listenGateway: any,
    advertise: undefined,
    listenNodes: undefined,
    proxyProtocol: false,
    tlsPassthrough: false,
    trustedHops: [],
    keyFile: undefined,
    ops: any,
    haproxy: 'haproxy',
    haproxyExternal: false,
    drain: 0,
  };
  await preflight(good);
  const server = createServer().listen(0, any.host);
  await once(server, 'listening');
  const taken = boundAddress(server.address(), any);
  for (const name of ['ops', 'listenHttp', 'listenHttps', 'listenGateway', 'listenNodes'] as const) {
    await expect(preflight({ ...good, [name]: taken })).rejects.toMatchObject({ code: 'HG2002' });
  }
  server.close();
  await expect(preflight({ ...good, haproxy: '/bin/true' })).rejects.toMatchObject({ code: 'HG5001' });
  const source = { kind: 'directory', folder: join(root.path, 'none') } as const;
  await expect(preflight({ ...good, source })).rejects.toMatchObject({ code: 'HG2001' });
  expect(await readdir(root.path)).toEqual([]);
});
