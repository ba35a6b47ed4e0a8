import { connect } from 'node:tls';
import { connect as connectTcp } from 'node:net';
import { once } from 'node:events';
import { Client, credentials, Metadata, Server, ServerCredentials, type ServiceError } from '@grpc/grpc-js';
import { afterEach, beforeAll, describe, test } from 'vitest';
import { ConfigureServiceService } from '../../proto/gen/headgate/v1/configure.ts';
import { EnrolmentServiceService } from '../../proto/gen/headgate/v1/enrolment.ts';
import { ReportServiceService } from '../../proto/gen/headgate/v1/report.ts';
import type { ReceiverFrame, SenderFrame } from '../../proto/gen/headgate/v1/sync.ts';
import { parseAddress } from '../config/address.ts';
import { HeadgateError } from '../errors.ts';
import { silentLog } from '../log.ts';
import type { Pipe } from '../sync/pipe.ts';
import { wireResource } from '../sync/wire.ts';
import { resource } from '../sync/resource.ts';
import { dialOptions } from './channel-options.ts';
import { spkiHash } from '../identity/certificate.ts';
import { dialRpc } from './dial.ts';
import { guard } from './guard.ts';
import { fetchPinnedRoot } from './pinned-root.ts';
import { mayCall, rpcTable } from './rpc-table.ts';
import { serveRpc, type RpcServer, type ServeOptions } from './serve.ts';
import { euIdentity, hubIdentity, nodeIdentity, testFleet, type TestCredentials } from './test-fleet.ts';

let fleet: Awaited<ReturnType<typeof testFleet>>;
let hubTls: TestCredentials;
let euTls: TestCredentials;
const cleanups: (() => Promise<void> | void)[] = [];

beforeAll(async () => {
  fleet = await testFleet();
  hubTls = await fleet.issue(hubIdentity);
  euTls = await fleet.issue(euIdentity, { serial: '0a' });
});

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function serve(options: Partial<ServeOptions> = {}): Promise<RpcServer> {
  const server = await serveRpc({
    address: '127.0.0.1:0',
    role: 'hub',
    tls: hubTls,
    services: {},
    log: silentLog,
    signal: new AbortController().signal,
    admit: () => true,
    ...options,
  });
  cleanups.push(async () => {
    await server[Symbol.asyncDispose]();
  });
  return server;
}

function dial(server: RpcServer, tls: { ca: string; certificate?: string; privateKey?: string }, hub = true) {
  const connection = dialRpc({ address: server.address, tls, expect: ({ kind }) => (kind === 'hub') === hub });
  cleanups.push(() => connection.close());
  return connection;
}

const heartbeat = (revision: bigint): SenderFrame & ReceiverFrame => ({
  frame: { $case: 'heartbeat', value: { revision } },
});

async function failure(work: Promise<unknown>): Promise<HeadgateError> {
  try {
    await work;
  } catch (error) {
    return HeadgateError.from(error);
  }
  throw new Error('it did not fail');
}

async function drain<T>(pipe: Pipe<never, T> | { frames: AsyncIterable<T> }): Promise<T[]> {
  const frames: T[] = [];
  for await (const frame of pipe.frames) frames.push(frame);
  return frames;
}

describe('streams', () => {
  test('carry frames both ways, with the identity of the certificate', async ({ expect }) => {
    const seen: unknown[] = [];
    const server = await serve({
      services: {
        report: async ({ identity, serial }, pipe) => {
          seen.push(identity, serial);
          pipe.send(heartbeat(7n));
          seen.push(await drain(pipe));
        },
      },
    });
    const pipe = dial(server, euTls).report();
    pipe.send(heartbeat(1n));
    const big = resource('host', 'a', Buffer.alloc(70_000, 'x'));
    const delta = {
      id: 1n,
      revision: 2n,
      upserts: [wireResource(big), wireResource(resource('x', 'ü', Buffer.alloc(0)))],
      removals: [{ type: 'a', name: 'b' }],
      last: true,
      endOfSnapshot: true,
    };
    pipe.send({ frame: { $case: 'delta', value: delta } });
    const frames = pipe.frames[Symbol.asyncIterator]();
    expect(await frames.next()).toEqual({ done: false, value: heartbeat(7n) });
    pipe.close();
    await expect
      .poll(() => seen)
      .toEqual([euIdentity, '0A', [heartbeat(1n), { frame: { $case: 'delta', value: delta } }]]);
  });

  test('close with an error that the other end sees, both ways', async ({ expect }) => {
    let served: HeadgateError | undefined;
    const server = await serve({
      services: {
        report: () => Promise.reject(new HeadgateError('HG3003', 'an older epoch', { remedy: 'raise it' })),
        configure: async (_caller, pipe) => {
          served = await failure(drain(pipe));
        },
      },
    });
    const connection = dial(server, euTls);
    expect(await failure(drain(connection.report()))).toMatchObject({
      code: 'HG3003',
      message: 'an older epoch',
      remedy: 'raise it',
    });
    connection.configure().close(new HeadgateError('HG3004', 'someone else\nspeaks'));
    await expect.poll(() => served).toMatchObject({ code: 'HG3004', message: 'someone else speaks' });
  });

  test('end in order when the server is done, and break when it goes', async ({ expect }) => {
    const server = await serve({
      services: {
        report: () => Promise.resolve(),
        configure: async (_caller, pipe) => {
          pipe.send(heartbeat(1n));
          await failure(drain(pipe));
        },
      },
    });
    const connection = dial(server, euTls);
    expect(await drain(connection.report())).toEqual([]);
    const pipe = connection.configure();
    const frames = pipe.frames[Symbol.asyncIterator]();
    await frames.next();
    await server[Symbol.asyncDispose]();
    expect(await failure(frames.next())).toMatchObject({ code: 'HG3001' });
  });

  test('hold a writer back while the reader does not read', async ({ expect }) => {
    const { promise: mayRead, resolve: read } = Promise.withResolvers<void>();
    let count = 0;
    const server = await serve({
      services: {
        report: async (_caller, pipe) => {
          await mayRead;
          count = (await drain(pipe)).length;
        },
      },
    });
    const pipe = dial(server, euTls).report();
    const body = resource('host', 'a', Buffer.alloc(100_000));
    const value = {
      id: 1n,
      revision: 1n,
      upserts: [wireResource(body)],
      removals: [],
      last: false,
      endOfSnapshot: false,
    };
    let sent = 0;
    const write = async (): Promise<void> => {
      for (; sent < 200; sent++) {
        await pipe.writable();
        pipe.send({ frame: { $case: 'delta', value } });
      }
      pipe.close();
    };
    const writing = write();
    await expect.poll(() => pipe.pending, { timeout: 5_000 }).toBeGreaterThan(0);
    expect(sent).toBeLessThan(200);
    read();
    await writing;
    await expect.poll(() => count).toBe(200);
  });

  test('a caller that never lets its stream end is cut', { timeout: 10_000 }, async ({ expect }) => {
    const gone = Promise.withResolvers<void>();
    const server = await serve({
      services: {
        configure: async (_caller, pipe) => {
          const value = { id: 1n, revision: 1n, upserts: [wireResource(resource('host', 'a', Buffer.alloc(900_000)))] };
          for (let i = 0; i < 12; i++) {
            pipe.send({
              frame: { $case: 'delta', value: { ...value, removals: [], last: false, endOfSnapshot: false } },
            });
          }
          pipe.close(new HeadgateError('HG3005', 'too slow'));
          await drain(pipe);
          gone.resolve();
        },
      },
    });
    // Reads one frame, then never again.
    const pipe = dial(server, euTls).configure();
    const frames = pipe.frames[Symbol.asyncIterator]();
    await frames.next();
    await gone.promise;
    const rest = await failure(drain({ frames: { [Symbol.asyncIterator]: () => frames } }));
    expect(['HG3001', 'HG3005']).toContain(rest.code);
  });
});

describe('who may call', () => {
  test('every RPC of the protocol is in the table, and nothing else', ({ expect }) => {
    const services = [ReportServiceService, ConfigureServiceService, EnrolmentServiceService];
    const paths = services.flatMap((service) => Object.values(service).map(({ path }) => path));
    expect(Object.keys(rpcTable).sort()).toEqual(paths.sort());
    expect(mayCall('hub', '/headgate.v1.ReportService/Other', euIdentity)).toBe(false);
    expect(mayCall('hub', 'toString', euIdentity)).toBe(false);
    expect(mayCall('hub', '/headgate.v1.ReportService/Report', nodeIdentity)).toBe(false);
    expect(mayCall('agent', '/headgate.v1.ReportService/Report', nodeIdentity)).toBe(true);
  });

  test('without a certificate enrolment alone works', async ({ expect }) => {
    const server = await serve({
      services: {
        report: () => Promise.resolve(),
        nonce: () => Promise.resolve({ nonce: Buffer.from('n') }),
        enrol: () => Promise.reject(new HeadgateError('HG2004', 'used')),
        renew: () => Promise.reject(new Error('secret detail')),
      },
    });
    const connection = dial(server, { ca: hubTls.ca });
    expect((await connection.nonce()).nonce.toString()).toBe('n');
    expect(await failure(drain(connection.report()))).toMatchObject({ code: 'HG2005' });
    const request = { token: '', controlCsr: Buffer.alloc(0), gatewayCsr: Buffer.alloc(0), clusterUid: '', node: '' };
    expect(await failure(connection.enrol(request))).toMatchObject({ code: 'HG2004', message: 'used' });
    const empty = Buffer.alloc(0);
    const renewal = { oldCertificate: empty, controlCsr: empty, gatewayCsr: empty, nonce: empty, signature: empty };
    expect(await failure(connection.renew(renewal))).toMatchObject({ code: 'HG9001', message: 'internal error' });
  });

  test('a certificate of another CA, an expired one or a node’s counts as none or as too little', async ({
    expect,
  }) => {
    const server = await serve({ services: { report: () => Promise.resolve() } });
    const foreign = await (await testFleet()).issue(euIdentity);
    const expired = await fleet.issue(euIdentity, { now: Date.now() - 3_600_000, lifetime: 1_000 });
    const node = await fleet.issue(nodeIdentity);
    for (const [tls, code] of [
      [{ ...foreign, ca: hubTls.ca }, 'HG2005'],
      [expired, 'HG2005'],
      [node, 'HG2006'],
    ] as const) {
      expect((await failure(drain(dial(server, tls).report()))).code).toBe(code);
    }
  });

  test('an RPC that the table does not have is refused, to a good certificate too', async ({ expect }) => {
    const server = new Server({ interceptors: [guard('hub', () => true, silentLog)] });
    const path = '/headgate.v1.OtherService/Other';
    const bytes = (value: Buffer): Buffer => value;
    server.register(
      path,
      (_call: unknown, answer: (error: null, value: Buffer) => void) => answer(null, Buffer.from('x')),
      bytes,
      bytes,
      'unary',
    );
    const port = await new Promise<number>((resolve, reject) => {
      const pair = { private_key: Buffer.from(hubTls.privateKey), cert_chain: Buffer.from(hubTls.certificate) };
      server.bindAsync(
        '127.0.0.1:0',
        ServerCredentials.createSsl(Buffer.from(hubTls.ca), [pair], true),
        (error, bound) => (error === null ? resolve(bound) : reject(error)),
      );
    });
    const client = new Client(
      `127.0.0.1:${port}`,
      credentials.createSsl(Buffer.from(euTls.ca), Buffer.from(euTls.privateKey), Buffer.from(euTls.certificate), {
        checkServerIdentity: () => undefined,
      }),
      dialOptions,
    );
    const error = await new Promise<ServiceError | null>((resolve) => {
      client.makeUnaryRequest(path, bytes, bytes, Buffer.alloc(0), new Metadata(), (failed) => resolve(failed));
    });
    client.close();
    server.forceShutdown();
    expect(error?.code).toBe(7);
  });

  test('the caller checks who serves', async ({ expect }) => {
    const server = await serve({ services: { report: () => Promise.resolve() } });
    expect(await failure(drain(dial(server, euTls, false).report()))).toMatchObject({ code: 'HG2005' });
    const other = await testFleet();
    expect(
      await failure(drain(dial(server, { ...euTls, ca: other.authority.pem.certificate }).report())),
    ).toMatchObject({ code: 'HG3001' });
  });
});

describe('connections', () => {
  test('a revoked certificate is cut and stays out', async ({ expect }) => {
    const revoked = new Set<string>();
    const ended = Promise.withResolvers<void>();
    const server = await serve({
      admit: (_identity, serial) => !revoked.has(serial),
      services: {
        configure: async (_caller, pipe) => {
          pipe.send(heartbeat(1n));
          await failure(drain(pipe));
          ended.resolve();
        },
      },
    });
    const pipe = dial(server, euTls).configure();
    const frames = pipe.frames[Symbol.asyncIterator]();
    await frames.next();
    revoked.add('0A');
    expect(server.closeWhere((identity, serial) => identity.kind === 'cluster' && serial === '0A')).toBe(1);
    expect((await failure(frames.next())).code).toBe('HG3001');
    await ended.promise;
    expect((await failure(drain(dial(server, euTls).configure()))).code).toBe('HG3001');
  });

  test('one that outlives its certificate is cut', async ({ expect }) => {
    const server = await serve({
      services: { configure: async (_caller, pipe) => void (await failure(drain(pipe))) },
    });
    const brief = await fleet.issue(euIdentity, { lifetime: 2_000 });
    expect((await failure(drain(dial(server, brief).configure()))).code).toBe('HG3001');
  });

  test('without a certificate they are few, short and small', async ({ expect }) => {
    const server = await serve({ limits: { anonymous: 2, anonymousMs: 60_000, anonymousBytes: 10_000 } });
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

  test('no session is resumed', async ({ expect }) => {
    const server = await serve();
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
    const server = await serve({ limits: { perSecond: 0.001, burst: 1 } });
    const { host, port } = parseAddress(server.address);
    const [first, second] = [connectTcp(port, host), connectTcp(port, host)];
    second.on('error', () => undefined);
    await Promise.race([once(second, 'close'), once(first, 'close')]);
    expect(first.destroyed && second.destroyed).toBe(false);
    first.destroy();
    second.destroy();
  });

  test('new ones use the certificate set last', async ({ expect }) => {
    const server = await serve({ services: { nonce: () => Promise.resolve({ nonce: Buffer.from('n') }) } });
    const other = await testFleet();
    server.setTls(await other.issue(hubIdentity));
    expect((await failure(dial(server, { ca: hubTls.ca }).nonce())).code).toBe('HG3001');
    expect((await dial(server, { ca: other.authority.pem.certificate }).nonce()).nonce.toString()).toBe('n');
    expect(() => server.setTls({ ...hubTls, privateKey: 'x' })).toThrow(/cannot be used/);
  });

  test('the root is found by its hash, and only by it', async ({ expect }) => {
    const server = await serve();
    const signal = new AbortController().signal;
    const root = fleet.authority.certificate;
    expect(await fetchPinnedRoot(server.address, spkiHash(root), signal)).toBe(root.toString());
    const wrong = await failure(fetchPinnedRoot(server.address, 'x'.repeat(43), signal));
    expect(wrong.code).toBe('HG2005');
    await server[Symbol.asyncDispose]();
    expect((await failure(fetchPinnedRoot(server.address, spkiHash(root), signal))).code).toBe('HG3001');
  });

  test('a taken address and a bad one', async ({ expect }) => {
    const server = await serve();
    expect((await failure(serve({ address: server.address }))).code).toBe('HG2002');
    expect((await failure(serve({ address: 'nowhere' }))).code).toBe('HG2001');
    expect((await failure(serve({ tls: { ...hubTls, certificate: 'x' } }))).code).toBe('HG1004');
  });

  test('nobody there', async ({ expect }) => {
    const server = await serve();
    await server[Symbol.asyncDispose]();
    const error = await failure(drain(dial(server, euTls).report()));
    expect(error.code).toBe('HG3001');
    expect(error.message).toContain('ECONNREFUSED');
  });
});
