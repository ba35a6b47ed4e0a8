import { once } from 'node:events';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type TestCa, testCa, type TestLeaf } from '../../agent/haproxy/testing/certificates.fixture.ts';
import { TwoRigs, ways } from './two-rigs.fixture.ts';

const stack = new AsyncDisposableStack();
let pods: TestCa;
let other: TestCa;
let good: TestLeaf;
let expired: TestLeaf;

beforeAll(async () => {
  [pods, other] = [await testCa(), await testCa()];
  good = await pods.leaf('pod.example');
  expired = await pods.leaf('pod.example', ['pod.example'], new Date(Date.now() - 86_400_000));
});

afterAll(() => stack.disposeAsync());

/** Answers with the SNI that it was called by. */
async function tlsPod({ certificate: cert, key }: TestLeaf): Promise<Server & { readonly port: number }> {
  const server = createServer({ cert, key }, (request, response) =>
    response.end((request.socket as TLSSocket & { servername?: string }).servername),
  );
  await once(server.listen(0, '127.0.0.1'), 'listening');
  stack.defer(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  return Object.assign(server, { port: (server.address() as AddressInfo).port });
}

describe('TLS to pods', () => {
  test.each([
    ['right', () => good, () => ({ hostname: 'pod.example', ca: pods.certificate, insecure: false }), 200],
    ['wrong CA', () => good, () => ({ hostname: 'pod.example', ca: other.certificate, insecure: false }), 503],
    ['wrong name', () => good, () => ({ hostname: 'other.example', ca: pods.certificate, insecure: false }), 503],
    ['expired', () => expired, () => ({ hostname: 'pod.example', ca: pods.certificate, insecure: false }), 503],
    ['any certificate', () => expired, () => ({ hostname: 'pod.example', ca: '', insecure: true }), 200],
  ])('%s', async (_, leaf, tls, status) => {
    const { port } = await tlsPod(leaf());
    await using rigs = await TwoRigs.start({ port, settings: { tls: tls() } });
    for (const way of ways) {
      const answer = await rigs.eu.get(way, '/');
      const body = status === 200 ? 'pod.example' : 'no endpoint\n';
      expect([way, answer.status, answer.body]).toEqual([way, status, body]);
    }
  });
});
