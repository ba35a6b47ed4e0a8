import { beforeAll, describe, test } from 'vitest';
import type { ReceiverFrame, SenderFrame } from '../../proto/gen/headgate/v1/sync.ts';
import { HeadgateError } from '../errors.ts';
import { resource } from '../sync/resource.ts';
import { wireResource } from '../sync/wire.ts';
import { drain, euIdentity, failure, hubIdentity, testFleet, TestLinks, type TestCredentials } from './rpc.fixture.ts';

let hubTls: TestCredentials;
let euTls: TestCredentials;

beforeAll(async () => {
  const fleet = await testFleet();
  hubTls = await fleet.issue(hubIdentity);
  euTls = await fleet.issue(euIdentity, { serial: '0a' });
});

const heartbeat = (revision: bigint): SenderFrame & ReceiverFrame => ({
  frame: { $case: 'heartbeat', value: { revision } },
});

describe('streams', () => {
  test('carry frames both ways, with the identity of the certificate', async ({ expect }) => {
    await using links = new TestLinks(hubTls);
    const seen: unknown[] = [];
    const server = await links.serve({
      services: {
        report: async ({ identity, serial }, pipe) => {
          seen.push(identity, serial);
          pipe.send(heartbeat(7n));
          seen.push(await drain(pipe));
        },
      },
    });
    const pipe = links.dial(server, euTls).report();
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
    await using links = new TestLinks(hubTls);
    let served: HeadgateError | undefined;
    const server = await links.serve({
      services: {
        report: () => Promise.reject(new HeadgateError('HG3003', 'an older epoch', { remedy: 'raise it' })),
        configure: async (_caller, pipe) => {
          served = await failure(drain(pipe));
        },
      },
    });
    const connection = links.dial(server, euTls);
    expect(await failure(drain(connection.report()))).toMatchObject({
      code: 'HG3003',
      message: 'an older epoch',
      remedy: 'raise it',
    });
    connection.configure().close(new HeadgateError('HG3004', 'someone else\nspeaks'));
    await expect.poll(() => served).toMatchObject({ code: 'HG3004', message: 'someone else speaks' });
  });

  test('end in order when the server is done, and break when it goes', async ({ expect }) => {
    await using links = new TestLinks(hubTls);
    const server = await links.serve({
      services: {
        report: () => Promise.resolve(),
        configure: async (_caller, pipe) => {
          pipe.send(heartbeat(1n));
          await failure(drain(pipe));
        },
      },
    });
    const connection = links.dial(server, euTls);
    expect(await drain(connection.report())).toEqual([]);
    const pipe = connection.configure();
    const frames = pipe.frames[Symbol.asyncIterator]();
    await frames.next();
    await server[Symbol.asyncDispose]();
    expect(await failure(frames.next())).toMatchObject({ code: 'HG3001' });
  });

  test('hold a writer back while the reader does not read', async ({ expect }) => {
    await using links = new TestLinks(hubTls);
    const { promise: mayRead, resolve: read } = Promise.withResolvers<void>();
    let count = 0;
    const server = await links.serve({
      services: {
        report: async (_caller, pipe) => {
          await mayRead;
          count = (await drain(pipe)).length;
        },
      },
    });
    const pipe = links.dial(server, euTls).report();
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
    await using links = new TestLinks(hubTls);
    const body = wireResource(resource('host', 'a', Buffer.alloc(900_000)));
    const value = { id: 1n, revision: 1n, upserts: [body], removals: [], last: false, endOfSnapshot: false };
    const server = await links.serve({
      services: {
        configure: async (_caller, pipe) => {
          for (let i = 0; i < 60; i++) pipe.send({ frame: { $case: 'delta', value } });
          await Promise.reject(new HeadgateError('HG3005', 'too slow'));
        },
        report: async (_caller, pipe) => {
          await drain(pipe);
        },
      },
    });
    const connection = links.dial(server, euTls);
    // Its neighbour on the connection shows the cut; this one is read once and never again.
    const neighbour = drain(connection.report());
    await connection.configure().frames[Symbol.asyncIterator]().next();
    expect((await failure(neighbour)).code).toBe('HG3001');
  });
});
