import {
  type ClientReadableStream,
  credentials,
  makeClientConstructor,
  Metadata,
  Server,
  type ServerDuplexStream,
  type ServerReadableStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  ServerCredentials,
  type ServiceError,
  type sendUnaryData,
  status,
  type Client,
} from '@grpc/grpc-js';
import { EventEmitter, once } from 'node:events';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { testCa } from '../../agent/haproxy/testing/certificates.fixture.ts';
import { BackendProtocol } from '../../proto/gen/headgate/v1/configured.ts';
import { TwoRigs, type Way, ways } from './two-rigs.fixture.ts';

const as = (bytes: Buffer): Buffer => bytes;
const method = (path: string, requestStream: boolean, responseStream: boolean) => ({
  path: `/test.Echo/${path}`,
  requestStream,
  responseStream,
  requestSerialize: as,
  requestDeserialize: as,
  responseSerialize: as,
  responseDeserialize: as,
});
const service = {
  unary: method('Unary', false, false),
  up: method('Up', true, false),
  down: method('Down', false, true),
  both: method('Both', true, true),
  hang: method('Hang', false, false),
};

/** `began` and `cancelled` of calls that the server leaves hanging. */
const seen = new EventEmitter();

function trailer(): Metadata {
  const metadata = new Metadata();
  metadata.set('x-trailer', 'end');
  return metadata;
}

const handlers = {
  unary(call: ServerUnaryCall<Buffer, Buffer>, done: sendUnaryData<Buffer>) {
    if (call.request.toString() === 'fail') {
      done({ code: status.NOT_FOUND, details: 'no such thing', metadata: trailer() });
      return;
    }
    done(null, call.request, trailer());
  },
  up(call: ServerReadableStream<Buffer, Buffer>, done: sendUnaryData<Buffer>) {
    let size = 0;
    call.on('data', (part: Buffer) => (size += part.length));
    call.on('end', () => done(null, Buffer.from(String(size)), trailer()));
  },
  down(call: ServerWritableStream<Buffer, Buffer>) {
    for (let i = 0; i < 20; i++) call.write(Buffer.from(`${call.request.toString()}${String(i)}`));
    call.end(trailer());
  },
  both(call: ServerDuplexStream<Buffer, Buffer>) {
    call.on('data', (part: Buffer) => call.write(part));
    call.on('end', () => call.end(trailer()));
  },
  hang(call: ServerUnaryCall<Buffer, Buffer>) {
    call.on('cancelled', () => seen.emit('cancelled'));
    seen.emit('began');
  },
};

type Done = (error: ServiceError | null, value: Buffer) => void;
interface Echo extends Client {
  unary(value: Buffer, done: Done): EventEmitter;
  up(done: Done): EventEmitter & { write(part: Buffer): void; end(): void };
  down(value: Buffer): ClientReadableStream<Buffer>;
  both(): ClientReadableStream<Buffer> & { write(part: Buffer): void; end(): void };
  hang(value: Buffer, options: { deadline?: number }, done: Done): { cancel(): void };
}
const EchoClient = makeClientConstructor(service, 'Echo') as unknown as new (
  ...args: ConstructorParameters<typeof Client>
) => Echo;

/** What a call ends with: value or error, and the trailer. */
async function answer(start: (done: Done) => EventEmitter): Promise<readonly [string, unknown]> {
  const value = Promise.withResolvers<string>();
  const call = start((error, bytes) =>
    value.resolve(error === null ? bytes.toString() : `${error.code} ${error.details}`),
  );
  const [[end], got] = await Promise.all([once(call, 'status') as Promise<[{ metadata: Metadata }]>, value.promise]);
  return [got, end.metadata.get('x-trailer')[0]];
}

async function streamed(call: ClientReadableStream<Buffer>): Promise<readonly [string[], unknown]> {
  const parts: string[] = [];
  const ended = once(call, 'status') as Promise<[{ code: number; metadata: Metadata }]>;
  for await (const part of call) parts.push(String(part));
  const [{ metadata }] = await ended;
  return [parts, metadata.get('x-trailer')[0]];
}

describe.each(['h2c', 'TLS'] as const)('gRPC to a pod over %s', (kind) => {
  const stack = new AsyncDisposableStack();
  const clients = new Map<Way, Echo>();

  beforeAll(async () => {
    const pods = await testCa();
    const leaf = await pods.leaf('pod.example');
    const server = new Server();
    server.addService(service, handlers);
    const pair = { private_key: Buffer.from(leaf.key), cert_chain: Buffer.from(leaf.certificate) };
    const port = await new Promise<number>((resolve, reject) =>
      server.bindAsync(
        '127.0.0.1:0',
        kind === 'TLS' ? ServerCredentials.createSsl(null, [pair]) : ServerCredentials.createInsecure(),
        (error, bound) => (error === null ? resolve(bound) : reject(error)),
      ),
    );
    stack.defer(() => server.forceShutdown());
    const rigs = await TwoRigs.start({
      port,
      settings: {
        protocol: BackendProtocol.HTTP2,
        tls: kind === 'TLS' ? { hostname: 'pod.example', ca: pods.certificate, insecure: false } : undefined,
      },
    });
    stack.use(rigs);
    for (const way of ways) {
      const client = new EchoClient(
        `127.0.0.1:${String(rigs.eu.https)}`,
        credentials.createSsl(Buffer.from(rigs.ca.certificate)),
        { 'grpc.ssl_target_name_override': way, 'grpc.default_authority': way },
      );
      stack.defer(() => client.close());
      clients.set(way, client);
    }
  });

  afterAll(() => stack.disposeAsync());

  function to(way: Way): Echo {
    const client = clients.get(way);
    if (client === undefined) throw new Error(`no client to ${way}`);
    return client;
  }

  test.each(ways)('unary, with trailers, and an error whose status is all there is, %s', async (way) => {
    const client = to(way);
    expect(await answer((done) => client.unary(Buffer.from('hello'), done))).toEqual(['hello', 'end']);
    expect(await answer((done) => client.unary(Buffer.from('fail'), done))).toEqual(['5 no such thing', 'end']);
  });

  test.each(ways)('streams from the client, from the server and both ways, %s', async (way) => {
    const client = to(way);
    const sum = await answer((done) => {
      const call = client.up(done);
      for (let i = 0; i < 50; i++) call.write(Buffer.alloc(20_000));
      call.end();
      return call;
    });
    expect(sum).toEqual(['1000000', 'end']);
    const [parts, last] = await streamed(client.down(Buffer.from('n')));
    expect([parts.length, parts[0], parts.at(-1), last]).toEqual([20, 'n0', 'n19', 'end']);
    // Each answer is awaited before the next is sent: nothing on the way waits for more.
    const both = client.both();
    for (const word of ['one', 'two', 'three']) {
      both.write(Buffer.from(word));
      expect(String((await once(both, 'data'))[0])).toBe(word);
    }
    both.end();
    const [{ metadata }] = (await once(both, 'status')) as [{ metadata: Metadata }];
    expect(metadata.get('x-trailer')).toEqual(['end']);
  });

  test.each(ways)('cancellation and deadline reach the pod, %s', async (way) => {
    const client = to(way);
    for (const deadline of [undefined, 700]) {
      const [began, cancelled] = [once(seen, 'began'), once(seen, 'cancelled')];
      const failed = Promise.withResolvers<number | undefined>();
      const options = deadline === undefined ? {} : { deadline: Date.now() + deadline };
      const call = client.hang(Buffer.of(), options, (error) => failed.resolve(error?.code));
      await began;
      if (deadline === undefined) call.cancel();
      expect(await failed.promise).toBe(deadline === undefined ? status.CANCELLED : status.DEADLINE_EXCEEDED);
      await cancelled;
    }
  });
});
