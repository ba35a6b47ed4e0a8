import { promises as dns } from 'node:dns';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { afterEach, beforeAll, expect, test, vi } from 'vitest';
import { euIdentity, testFleet, TestLinks, hubIdentity, type TestCredentials } from './rpc.fixture.ts';
import { dialRpc } from './dial.ts';

let hubTls: TestCredentials;
let euTls: TestCredentials;
beforeAll(async () => {
  const fleet = await testFleet();
  hubTls = await fleet.issue(hubIdentity);
  euTls = await fleet.issue(euIdentity);
});
afterEach(() => vi.restoreAllMocks());

test('a name with several addresses is looked up for each connection, and each of them tried', async () => {
  const addresses = ['127.0.0.2', '127.0.0.3'].map((address) => ({ address, family: 4 }));
  // A headless Service; there is no name with two addresses on every machine.
  const lookup = vi.spyOn(dns, 'lookup').mockResolvedValue(addresses as never);
  await using links = new TestLinks(hubTls);
  const services = { nonce: async () => await Promise.resolve({ nonce: Buffer.from('n') }) };
  let port = '0';
  for (const host of ['127.0.0.3', '127.0.0.2']) {
    const server = await links.serve({ address: `${host}:${port}`, services });
    port = server.address.slice(host.length + 1);
    using connection = dialRpc({ address: `agents.test:${port}`, tls: euTls, expect: () => true });
    expect((await connection.nonce()).nonce.toString()).toBe('n');
    await server[Symbol.asyncDispose]();
  }
  // One that takes connections and says nothing, as a process that was stopped.
  const silent = createServer().listen(Number(port), '127.0.0.2');
  await once(silent, 'listening');
  await links.serve({ address: `127.0.0.3:${port}`, services });
  using connection = dialRpc({ address: `agents.test:${port}`, tls: euTls, expect: () => true });
  expect((await connection.nonce()).nonce.toString()).toBe('n');
  silent.close();
  expect(lookup).toHaveBeenCalledTimes(3);
});
