import { Client, credentials, Metadata, Server, ServerCredentials, type ServiceError } from '@grpc/grpc-js';
import { beforeAll, describe, test } from 'vitest';
import { ConfigureServiceService } from '../../proto/gen/headgate/v1/configure.ts';
import { EnrolmentServiceService } from '../../proto/gen/headgate/v1/enrolment.ts';
import { ReportServiceService } from '../../proto/gen/headgate/v1/report.ts';
import { EnrolRequest, RenewRequest } from '../../proto/gen/headgate/v1/enrolment.ts';
import { HeadgateError } from '../errors.ts';
import { subjectsOf } from '../identity/certificate.ts';
import { silentLog } from '../log.ts';
import { dialOptions } from './channel-options.ts';
import { callerOf, guard } from './guard.ts';
import { mayCall, rpcTable } from './rpc-table.ts';
import {
  drain,
  euIdentity,
  failure,
  hubIdentity,
  nodeIdentity,
  testFleet,
  TestLinks,
  type TestCredentials,
} from './rpc.fixture.ts';

let fleet: Awaited<ReturnType<typeof testFleet>>;
let hubTls: TestCredentials;
let euTls: TestCredentials;

beforeAll(async () => {
  fleet = await testFleet();
  hubTls = await fleet.issue(hubIdentity);
  euTls = await fleet.issue(euIdentity, { serial: '0a' });
});

const bytes = (value: Buffer): Buffer => value;

describe('who may call', () => {
  test('every RPC of the protocol is in the table, and nothing else', ({ expect }) => {
    const services = [ReportServiceService, ConfigureServiceService, EnrolmentServiceService];
    const paths = services.flatMap((service) => Object.values(service).map(({ path }) => path));
    expect(new Set(Object.keys(rpcTable))).toEqual(new Set<string>(paths));
    expect(mayCall('hub', '/headgate.v1.ReportService/Other', euIdentity)).toBe(false);
    expect(mayCall('hub', 'toString', euIdentity)).toBe(false);
    expect(mayCall('hub', '/headgate.v1.ReportService/Report', nodeIdentity)).toBe(false);
    expect(mayCall('agent', '/headgate.v1.ReportService/Report', nodeIdentity)).toBe(true);
  });

  test('without a certificate enrolment alone works', async ({ expect }) => {
    await using links = new TestLinks(hubTls);
    const server = await links.serve({
      services: {
        report: () => Promise.resolve(),
        nonce: () => Promise.resolve({ nonce: Buffer.from('n') }),
        enrol: () => Promise.reject(new HeadgateError('HG2004', 'used')),
        renew: () => Promise.reject(new Error('secret detail')),
      },
    });
    const connection = links.dial(server, { ca: hubTls.ca });
    expect((await connection.nonce()).nonce.toString()).toBe('n');
    expect(await failure(drain(connection.report()))).toMatchObject({ code: 'HG2005' });
    const request = EnrolRequest.create();
    expect(await failure(connection.enrol(request))).toMatchObject({ code: 'HG2004', message: 'used' });
    expect(await failure(connection.renew(RenewRequest.create()))).toMatchObject({
      code: 'HG9001',
      message: 'internal error',
    });
  });

  test('a certificate of another CA, an expired one or a node’s counts as none or as too little', async ({
    expect,
  }) => {
    await using links = new TestLinks(hubTls);
    const server = await links.serve({ services: { report: () => Promise.resolve() } });
    const foreign = await (await testFleet()).issue(euIdentity);
    const expired = await fleet.issue(euIdentity, { now: Date.now() - 3_600_000, lifetime: 1_000 });
    const node = await fleet.issue(nodeIdentity);
    for (const [tls, code] of [
      [{ ...foreign, ca: hubTls.ca }, 'HG2005'],
      [expired, 'HG2005'],
      [node, 'HG2006'],
    ] as const) {
      expect((await failure(drain(links.dial(server, tls).report()))).code).toBe(code);
    }
  });

  test('an RPC that the table does not have is refused, to a good certificate too', async ({ expect }) => {
    const server = new Server({
      interceptors: [
        guard(
          'hub',
          (call) => callerOf(call, subjectsOf(hubTls.ca)),
          () => true,
          silentLog,
        ),
      ],
    });
    const path = '/headgate.v1.OtherService/Other';
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
    await using links = new TestLinks(hubTls);
    const server = await links.serve({ services: { report: () => Promise.resolve() } });
    expect(await failure(drain(links.dial(server, euTls, 'cluster').report()))).toMatchObject({ code: 'HG2005' });
    const other = await testFleet();
    expect(
      await failure(drain(links.dial(server, { ...euTls, ca: other.authority.pem.certificate }).report())),
    ).toMatchObject({ code: 'HG3001' });
  });
});
