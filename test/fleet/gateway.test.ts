import { connect } from 'node:http2';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';

import { testCa } from '../../agent/haproxy/testing/certificates.fixture.ts';
import { IdentityFiles } from '../../agent/identity/identity-files.ts';
import { eventually, TestFleet } from './fleet.fixture.ts';

let fleet: TestFleet;
beforeAll(async () => {
  fleet = await TestFleet.start(['eu', 'us', 'ap'], 1);
});
afterAll(async () => await fleet?.[Symbol.asyncDispose]());

/** Requests that a cluster's gateway listener has taken, probes included. */
async function gatewayRequests(cluster: string): Promise<number> {
  const metrics = await (await fetch(`http://${fleet.cluster(cluster).ops}/metrics`)).text();
  return Number(/^haproxy_frontend_http_requests_total\{proxy="gateway"[^}]*\} (\d+)/m.exec(metrics)?.[1]);
}

describe('a request that crosses', () => {
  const host = 'cross.example';
  const other = 'other.example';

  test('is decided at the entry: what a client says of gateways and proxies counts for nothing', async () => {
    fleet.writeAll({ namespace: 'cross', host }, { eu: 0, us: 1, ap: 0 });
    fleet.writeAll({ namespace: 'other', host: other }, { eu: 0, ap: 1 });
    await fleet.expectShares('eu', host, { us: 1 }, 20);
    await fleet.expectShares('eu', other, { ap: 1 }, 20);
    const { route } = await fleet.explain('eu', `http://${other}/`);
    const headers = {
      'x-headgate-route': route?.id ?? '',
      'x-headgate-cluster': 'ap',
      'X-Forwarded-For': '6.6.6.6',
      'x-forwarded-proto': 'https',
      'x-kept': 'yes',
    };
    const { pod } = await fleet.ask('eu', host, { headers, path: '/a//b?c=d', from: '127.0.0.9' });
    expect(pod).toMatchObject({
      cluster: 'us',
      path: '/a//b?c=d',
      headers: { host, 'x-forwarded-for': '127.0.0.9', 'x-forwarded-proto': 'http', 'x-kept': 'yes' },
    });
    expect(Object.keys(pod?.headers ?? {}).filter((name) => name.startsWith('x-headgate'))).toEqual([]);
  });

  test('answers 503 at once where nobody has an endpoint, and no gateway sends it on', async () => {
    const empty = 'empty.example';
    fleet.writeAll({ namespace: 'empty', host: empty }, { eu: 0, us: 1, ap: 1 });
    await fleet.expectShares('eu', empty, { us: 1, ap: 1 }, 50);
    // A hub that says nothing: every cluster goes on believing that the others have an endpoint.
    fleet.fleet.hub.signal('SIGSTOP');
    try {
      for (const cluster of ['us', 'ap']) fleet.write(cluster, { namespace: 'empty', host: empty, ready: 0 });
      for (const cluster of ['eu', 'us', 'ap']) await fleet.expectStatus(cluster, empty, 503);
      const started = performance.now();
      const before = await Promise.all(['eu', 'us', 'ap'].map(gatewayRequests));
      const count = 100;
      const seen = await fleet.sample('eu', empty, count);
      const [eu = NaN, us = NaN, ap = NaN] = (await Promise.all(['eu', 'us', 'ap'].map(gatewayRequests))).map(
        (now, i) => now - (before[i] ?? NaN),
      );
      const took = performance.now() - started;
      // Two peers probe each gateway once a second, and one more round may straddle each end.
      const probes = 2 * (Math.ceil(took / 1_000) + 2);
      expect(seen).toMatchObject({ total: count, byCluster: new Map(), failed: new Map([['503 no endpoint', count]]) });
      expect(us + ap).toBeGreaterThanOrEqual(count);
      expect(us + ap).toBeLessThanOrEqual(count + 2 * probes);
      expect(eu).toBeLessThanOrEqual(probes);
    } finally {
      fleet.fleet.hub.signal('SIGCONT');
    }
  });

  test('never fails while the cluster that serves it withdraws its route', async () => {
    const leaving = 'leaving.example';
    fleet.writeAll({ namespace: 'leaving', host: leaving }, { eu: 0, us: 3, ap: 1 });
    await fleet.expectShares('eu', leaving, { us: 1, ap: 1 }, 200);
    const failed = new Map<string, number>();
    const gone = new AbortController();
    const load = (async () => {
      while (!gone.signal.aborted)
        for (const [why, count] of (await fleet.sample('eu', leaving, 50)).failed) failed.set(why, count);
    })();
    fleet.remove('us', { namespace: 'leaving' });
    await fleet.expectShares('eu', leaving, { ap: 1 }, 50);
    gone.abort();
    await load;
    expect(failed).toEqual(new Map());
  });
});

describe('the gateway listener', () => {
  interface Credentials {
    readonly ca: string;
    readonly cert?: string;
    readonly key?: string;
  }

  /** Status of a request to us's gateway, or the TLS error. */
  async function probe(credentials: Credentials, headers: Record<string, string> = {}): Promise<string> {
    const session = connect(`https://${fleet.cluster('us').gateway}`, {
      ...credentials,
      servername: 'us.gateway.headgate',
    });
    try {
      return await new Promise((resolve) => {
        session.on('error', (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
        session.on('close', () => resolve('closed'));
        const stream = session.request({ ':path': '/headgate/probe', ...headers });
        stream.on('error', () => undefined);
        stream.on('close', () => resolve('closed'));
        stream.on('response', (answer) => resolve(String(answer[':status'])));
        stream.end();
      });
    } finally {
      session.destroy();
    }
  }

  test('answers the fleet’s gateways only, and a wrong name or authority not at all', async () => {
    const eu = await new IdentityFiles(fleet.cluster('eu').data).load();
    if (eu === undefined) throw new Error('eu has no identity');
    const { gateway, control } = eu;
    const own = { ca: gateway.ca, cert: gateway.certificate, key: gateway.privateKey };
    expect(await probe(own)).toBe('200');
    const refused = /^(ERR_SSL_|ECONNRESET|closed)/;
    expect(await probe({ ca: gateway.ca })).toMatch(refused);
    expect(await probe({ ca: gateway.ca, cert: control.certificate, key: control.privateKey })).toMatch(refused);
    const forged = await (await testCa()).leaf('eu.gateway.headgate');
    expect(await probe({ ca: gateway.ca, cert: forged.certificate, key: forged.key })).toMatch(refused);
  });

  test('serves what its own route ids name, and nothing else', async () => {
    const eu = await new IdentityFiles(fleet.cluster('eu').data).load();
    if (eu === undefined) throw new Error('eu has no identity');
    const own = { ca: eu.gateway.ca, cert: eu.gateway.certificate, key: eu.gateway.privateKey };
    const { route } = await fleet.explain('eu', 'http://cross.example/');
    const asClient = { ':path': '/', ':authority': 'cross.example', 'x-forwarded-for': '127.0.0.1' };
    expect(await probe(own, { ...asClient, 'x-headgate-route': route?.id ?? '' })).toBe('200');
    expect(await probe(own, { ...asClient, 'x-headgate-route': '0000000000000000' })).toBe('503');
    expect(await probe(own, asClient)).toBe('503');
  });
});

test('a fleet whose hub slept is whole again', async () => {
  await eventually(
    async () => (await fleet.list('clusters')).every((cluster) => cluster['connected'] === true),
    () => 'a cluster is not connected',
  );
  expect((await fleet.ask('eu', 'cross.example')).status).toBe(200);
});
