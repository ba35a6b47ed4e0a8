import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { networkInterfaces } from 'node:os';
import { expect, test } from 'vitest';
import { fetchAnswer, freePort } from '../../agent/haproxy/testing/rig.fixture.ts';
import { figure } from '../safety/figure.ts';
import { TwoRigs, ways } from './two-rigs.fixture.ts';

const hasIpv6 = Object.values(networkInterfaces()).some((all) => all?.some(({ address }) => address === '::1'));

test('listeners, gateways and endpoints over IPv6; IPv4 clients stay IPv4 on a listener for both', async () => {
  if (!hasIpv6) {
    figure('IPv6 is not tried: this machine has no ::1');
    return;
  }
  const pod = createServer((request, response) => response.end(request.headers['x-forwarded-for']));
  await once(pod.listen(0, '::1'), 'listening');
  await using rigs = await TwoRigs.start({
    port: (pod.address() as AddressInfo).port,
    address: '::1',
    listeners: { http: `[::]:${String(await freePort())}`, https: `[::1]:${String(await freePort())}` },
    callee: { gateway: `[::1]:${String(await freePort())}` },
  });
  const { eu, ca } = rigs;
  for (const way of ways) {
    const headers = { host: way };
    for (const host of ['::1', '127.0.0.1']) {
      const plain = await fetchAnswer({ host, port: eu.http, headers });
      expect([way, plain.status, plain.body]).toEqual([way, 200, host]);
    }
    const tls = { tls: true, servername: way, ca: ca.certificate, rejectUnauthorized: true };
    expect((await fetchAnswer({ ...tls, host: '::1', port: eu.https, headers })).body).toBe('::1');
  }
  pod.closeAllConnections();
  await new Promise((resolve) => pod.close(resolve));
});
