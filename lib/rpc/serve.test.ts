import { once } from 'node:events';
import { connect as connectTcp } from 'node:net';
import { connect } from 'node:tls';
import { beforeAll, describe, test } from 'vitest';
import type { ReceiverFrame, SenderFrame } from '../../proto/gen/headgate/v1/sync.ts';
import { parseAddress } from '../config/address.ts';
import { spkiHash } from '../identity/certificate.ts';
import { fetchPinnedRoot } from './pinned-root.ts';
import { drain, euIdentity, failure, hubIdentity, testFleet, TestLinks, type TestCredentials } from './rpc.fixture.ts';

let fleet: Awaited<ReturnType<typeof testFleet>>;
let hubTls: TestCredentials;
let euTls: TestCredentials;

beforeAll(async () => {
  fleet = await testFleet();
  hubTls = await fleet.issue(hubIdentity);
  euTls = await fleet.issue(euIdentity, { serial: '0a' });
});

const heartbeat = (revision: bigint): SenderFrame & ReceiverFrame => ({
  frame: { $case: 'heartbeat', value: { revision } },
});

describe('connections', () => {
  test('a revoked certificate is cut and stays out', async ({ expect }) => {
    await using links = new TestLinks(hubTls);
    const revoked = new Set<string>();
    const ended = Promise.withResolvers<void>();
    const server = await links.serve({
      admit: (_identity, serial) => !revoked.has(serial),
      services: {
        configure: async (_caller, pipe) => {
          pipe.send(heartbeat(1n));
          await failure(drain(pipe));
          ended.resolve();
        },
      },
    });
    const pipe = links.dial(server, euTls).configure();
    const frames = pipe.frames[Symbol.asyncIterator]();
    await frames.next();
    revoked.add('0A');
    expect(server.closeWhere((identity, serial) => identity.kind === 'cluster' && serial === '0A')).toBe(1);
    expect((await failure(frames.next())).code).toBe('HG3001');
    await ended.promise;
    expect((await failure(drain(links.dial(server, euTls).configure()))).code).toBe('HG3001');
  });

  test('one that outlives its certificate is cut', async ({ expect }) => {
    await using links = new TestLinks(hubTls);
    const server = await links.serve({
      services: { configure: async (_caller, pipe) => void (await failure(drain(pipe))) },
    });
    const brief = await fleet.issue(euIdentity, { lifetime: 2_000 });
    expect((await failure(drain(links.dial(server, brief).configure()))).code).toBe('HG3001');
  });

  test('without a certificate they are few, short and small', async ({ expect }) => {
    await using links = new TestLinks(hubTls);
    const server = await links.serve({ limits: { anonymous: 2, anonymousMs: 60_000, anonymousBytes: 10_000 } });
    const { host, port } = parseAddress(server.address);
    const open = () =>
      connect({ host, port, ca: hubTls.ca, ALPNProtocols: ['h2'], checkServerIdentity: () => undefined });
    const [first, second] = [open(), open()];
    await Promise.all([once(first, 'secureConnect'), once(second, 'secureConnect')]);
    const third = open();
    third.on('error', () => undefined).resume();
    await once(third, 'close');
    first.on('error', () => undefined).resume();
    first.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
    first.write(Buffer.alloc(20_000));
    await once(first, 'close');
    expect(second.destroyed).toBe(false);
    second.destroy();
  });

  test('what has shaken hands leaves its place to the next', async ({ expect }) => {
    await using links = new TestLinks(hubTls);
    const server = await links.serve({
      limits: { handshakes: 1 },
      services: {
        configure: async (_caller, pipe) => {
          pipe.send(heartbeat(1n));
          await failure(drain(pipe));
        },
      },
    });
    for (const _ of [1, 2, 3]) {
      const frames = links.dial(server, euTls).configure().frames[Symbol.asyncIterator]();
      expect((await frames.next()).value).toEqual(heartbeat(1n));
    }
  });

  test('no session is resumed', async ({ expect }) => {
    await using links = new TestLinks(hubTls);
    const server = await links.serve();
    const { host, port } = parseAddress(server.address);
    const base = {
      host,
      port,
      ...euTls,
      cert: euTls.certificate,
      key: euTls.privateKey,
      ALPNProtocols: ['h2'],
      checkServerIdentity: () => undefined,
    };
    const first = connect(base);
    const sessions: Buffer[] = [];
    first.on('session', (session) => sessions.push(session));
    first.on('data', () => undefined);
    await once(first, 'data');
    first.destroy();
    for (const session of sessions) {
      const second = connect({ ...base, session });
      await once(second, 'secureConnect');
      expect(second.isSessionReused()).toBe(false);
      second.destroy();
    }
  });

  test('the bucket refuses a flood', async ({ expect }) => {
    await using links = new TestLinks(hubTls);
    const server = await links.serve({ limits: { perSecond: 0.001, burst: 1 } });
    const { host, port } = parseAddress(server.address);
    const [first, second] = [connectTcp(port, host), connectTcp(port, host)];
    second.on('error', () => undefined);
    await Promise.race([once(second, 'close'), once(first, 'close')]);
    expect(first.destroyed && second.destroyed).toBe(false);
    first.destroy();
    second.destroy();
  });

  test('new ones use the certificate set last', async ({ expect }) => {
    await using links = new TestLinks(hubTls);
    const server = await links.serve({ services: { nonce: () => Promise.resolve({ nonce: Buffer.from('n') }) } });
    const other = await testFleet();
    server.setTls(await other.issue(hubIdentity));
    expect((await failure(links.dial(server, { ca: hubTls.ca }).nonce())).code).toBe('HG3001');
    expect((await links.dial(server, { ca: other.authority.pem.certificate }).nonce()).nonce.toString()).toBe('n');
    expect(() => server.setTls({ ...hubTls, privateKey: 'x' })).toThrow(/cannot be used/);
  });

  test('the root is found by its hash, and only by it', async ({ expect }) => {
    await using links = new TestLinks(hubTls);
    const server = await links.serve();
    const signal = new AbortController().signal;
    const root = fleet.authority.certificate;
    expect(await fetchPinnedRoot(server.address, spkiHash(root), signal)).toBe(root.toString());
    const wrong = await failure(fetchPinnedRoot(server.address, 'x'.repeat(43), signal));
    expect(wrong.code).toBe('HG2005');
    await server[Symbol.asyncDispose]();
    expect((await failure(fetchPinnedRoot(server.address, spkiHash(root), signal))).code).toBe('HG3001');
  });

  test('a taken address and a bad one', async ({ expect }) => {
    await using links = new TestLinks(hubTls);
    const server = await links.serve();
    expect((await failure(links.serve({ address: server.address }))).code).toBe('HG2002');
    expect((await failure(links.serve({ address: 'nowhere' }))).code).toBe('HG2001');
    expect((await failure(links.serve({ tls: { ...hubTls, certificate: 'x' } }))).code).toBe('HG1004');
  });

  test('nobody there', async ({ expect }) => {
    await using links = new TestLinks(hubTls);
    const server = await links.serve();
    await server[Symbol.asyncDispose]();
    const error = await failure(drain(links.dial(server, euTls).report()));
    expect(error.code).toBe('HG3001');
    expect(error.message).toContain('ECONNREFUSED');
  });
});
