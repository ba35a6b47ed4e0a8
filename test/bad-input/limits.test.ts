import { generateKeyPairSync, KeyObject, webcrypto } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { askMaster } from '../../agent/haproxy/process/master.ts';
import { MASTER_SOCKET } from '../../agent/haproxy/process/stop.ts';
import { x509 } from '../../lib/identity/x509.ts';
import { handshake } from '../ingress/clients.ts';
import { testAuthority, type TestAuthority } from '../ingress/certificates.ts';
import { ingress, type KubeObject, secret, served, service } from '../ingress/objects.ts';
import { eventually, OneCluster } from '../ingress/one-cluster.ts';

// What is large, old, odd or points at the gate itself, through a real agent and HAProxy, each with its own result.

let cluster: OneCluster;
let everywhere: Server;
let authority: TestAuthority;

beforeAll(async () => {
  authority = await testAuthority();
  everywhere = createServer((_request, response) => response.end('big'));
  await once(everywhere.listen(0, '0.0.0.0'), 'listening');
  cluster = await OneCluster.start(['good'], (pod) => ({
    good: [...served('good', pod('good')), ingress('good', { rules: [rule('good')] })],
  }));
  await cluster.serves('good.example', '/', 'good');
});

afterAll(async () => {
  await cluster[Symbol.asyncDispose]();
  everywhere.closeAllConnections();
  everywhere.close();
});

function rule(name: string, paths = ['/']) {
  return { host: `${name}.example`, paths: paths.map((path) => ({ path, to: name })) };
}

function tlsHost(name: string, pair: { certificate: string; key: string }, secretName = name): KubeObject[] {
  return [
    secret(secretName, pair),
    ingress(name, {
      rules: [{ host: `${name}.example`, paths: [{ path: '/', to: 'good' }] }],
      tls: [{ hosts: [`${name}.example`], secretName }],
    }),
  ];
}

function addresses(name: string, part: number, port: number, list: readonly string[]): KubeObject {
  return {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: { name: `${name}-${part}`, namespace: 'shop', labels: { 'kubernetes.io/service-name': name } },
    addressType: 'IPv4',
    ports: [{ port }],
    endpoints: list.map((address) => ({ addresses: [address] })),
  };
}

/** Waits for a problem of an object. */
async function told(kind: string, name: string, words: string): Promise<{ code: string; message: string }> {
  let found: { code: string; message: string } | undefined;
  await eventually(`${kind} ${name}: ${words}`, async () => {
    found = (await cluster.events()).find(
      (event) => event.kind === kind && event.name === name && event.message.includes(words),
    );
    return found !== undefined;
  });
  if (found === undefined) throw new Error('no event');
  return found;
}

async function serial(name: string, sigalgs?: string): Promise<string> {
  const socket = await handshake(cluster.https, {
    servername: `${name}.example`,
    ...(sigalgs === undefined ? {} : { sigalgs }),
  });
  const { serialNumber } = socket.getPeerCertificate();
  socket.destroy();
  return serialNumber;
}

describe('much of one thing', () => {
  test('10,000 servers of one service serve, nobody else waits long, and one more slice is refused by name', async () => {
    const { port } = everywhere.address() as AddressInfo;
    const all = Array.from({ length: 10_000 }, (_, i) => `127.1.${i >> 8}.${i & 255}`);
    cluster.write('big', service('big'), ingress('big', { rules: [rule('big')] }));
    await cluster.serves('big.example', '/', 503);
    const slices = Array.from({ length: 10 }, (_, i) =>
      addresses('big', i, port, all.slice(i * 1_000, i * 1_000 + 1_000)),
    );
    cluster.write('big-slices', ...slices);
    const answers = new Set<string | number>();
    const began = async () => {
      answers.add(await cluster.who('good.example'));
      return (await cluster.get('big.example')).status === 200;
    };
    await eventually('big serves', began, 40_000);
    cluster.write('one', ingress('one', { rules: [{ host: 'one.example', paths: [{ path: '/', to: 'good' }] }] }));
    await cluster.serves('one.example', '/', 'good');
    cluster.write('big-more', addresses('big', 10, port, ['127.2.0.1']));
    const { code, message } = await told('endpoints', 'shop/big-10', '10001 endpoints');
    expect(code).toBe('HG5005');
    expect(message).toContain('the service has 10001 endpoints, more than 10000');
    expect((await cluster.get('big.example')).status).toBe(200);
    expect([...answers]).toEqual(['good']);
    cluster.write('big-more');
    cluster.write('big-slices');
    await cluster.serves('big.example', '/', 503);
  }, 60_000);

  test('500 paths of one host, and paths as long as are taken', async () => {
    const paths = Array.from({ length: 500 }, (_, i) => `/p${i}`);
    const longest = `/${'x'.repeat(1_023)}`;
    cluster.write(
      'paths',
      ingress('many-paths', {
        rules: [{ host: 'many-paths.example', paths: [...paths, longest].map((path) => ({ path, to: 'good' })) }],
      }),
    );
    await cluster.serves('many-paths.example', '/p499/x', 'good');
    expect(await cluster.who('many-paths.example', longest)).toBe('good');
    expect(await cluster.who('many-paths.example', `${longest}x`)).toBe(404);
    cluster.write(
      'longer',
      ingress('longer', {
        rules: [
          {
            host: 'longer.example',
            paths: [
              { path: '/', to: 'good' },
              { path: `/${'x'.repeat(10_240)}`, to: 'good' },
            ],
          },
        ],
      }),
    );
    const { code } = await told('Ingress', 'longer', '<=1024 characters');
    expect(code).toBe('HG1002');
    expect(await cluster.who('good.example')).toBe('good');
    // A request may be longer than any rule.
    expect(await cluster.who('good.example', `/${'y'.repeat(10_240)}`)).toBe('good');
  });
});

describe('certificates', () => {
  test('a chain in the wrong order serves in the right one', async () => {
    const pair = await authority.leaf(['chain.example']);
    cluster.write(
      'chain',
      ...tlsHost('chain', { certificate: authority.certificate + pair.certificate, key: pair.key }),
    );
    await eventually('chain', async () => (await serial('chain')) === pair.serial);
    expect((await cluster.events()).filter(({ name }) => name === 'chain')).toEqual([]);
  });

  test.each([
    ['expired', -20, -10, 'expired at'],
    ['early', 10, 20, 'is not valid before'],
  ])('one that is %s serves, and that is told', async (name, from, to, words) => {
    const pair = await leafBetween(`${name}.example`, from, to);
    cluster.write(name, ...tlsHost(name, pair));
    expect((await told('Secret', name, words)).code).toBe('HG1004');
    await eventually(name, async () => (await serial(name)) === pair.serial);
  });

  test.each([
    ['Ed25519', () => generateKeyPairSync('ed25519').privateKey],
    ['secp256k1', () => generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).privateKey],
  ])('a key of the kind %s is refused with those that serve, and the host serves without it', async (_kind, make) => {
    const { certificate } = await authority.leaf(['odd-key.example']);
    const key = make().export({ type: 'pkcs8', format: 'pem' }).toString();
    cluster.write('odd-key', ...tlsHost('odd-key', { certificate, key }));
    expect((await told('Secret', 'odd-key', 'is neither RSA')).message).toContain('P-256, P-384 or P-521');
    await cluster.serves('odd-key.example', '/', 'good');
    cluster.write('odd-key');
  });
});

describe('two certificates for one host', () => {
  const elliptic = 'ecdsa_secp256r1_sha256';
  // HAProxy knows RSA by PKCS #1, which every client offers for certificates.
  const rsa = 'rsa_pss_rsae_sha256:rsa_pkcs1_sha256';

  test('of one class of keys: the one valid longest serves, over a reload too, and the other is told', async () => {
    const long = await leafBetween('twice.example', -1, 30, '1A01');
    const short = await leafBetween('twice.example', -1, 20, '1A02');
    const both = [...tlsHost('twice', short, 'twice-a'), secret('twice-b', long)];
    const more = ingress('twice-more', {
      rules: [{ host: 'twice.example', paths: [{ path: '/more', to: 'good' }] }],
      tls: [{ hosts: ['twice.example'], secretName: 'twice-b' }],
    });
    cluster.write('twice', ...both, more);
    await eventually('the longest', async () => (await serial('twice')) === long.serial);
    const { code, message } = await told('Secret', 'twice-a', 'twice-b');
    expect(code).toBe('HG1011');
    expect(message).toContain('Secret shop/twice-a does not serve "twice.example" (Secret shop/twice-b does)');

    const reloads = await cluster.reloads();
    await askMaster(join(cluster.fleet.cluster('eu').data, 'haproxy', MASTER_SOCKET), 'reload').catch(() => '');
    // The master's socket goes with the old process.
    await eventually('reloaded', async () => (await cluster.reloads().catch(() => reloads)) > reloads);
    for (let i = 0; i < 10; i++) expect(await serial('twice')).toBe(long.serial);

    // With the winner gone the other serves, and nothing is wrong any more.
    cluster.write('twice', ...tlsHost('twice', short, 'twice-a'));
    await eventually('the one that is left', async () => (await serial('twice')) === short.serial);
    await eventually('told no more', async () => (await cluster.events()).every(({ name }) => name !== 'twice-a'));
  });

  test('RSA and ECDSA: both serve, each whom it is for', async () => {
    const pairs = {
      a: await leafBetween('pair.example', -1, 30, '1B01'),
      b: await leafBetween('pair.example', -1, 20, '1B02', 'RSA'),
    };
    cluster.write(
      'pair',
      ...tlsHost('pair', pairs.a, 'pair-a'),
      secret('pair-b', pairs.b),
      ingress('pair-more', {
        rules: [{ host: 'pair.example', paths: [{ path: '/more', to: 'good' }] }],
        tls: [{ hosts: ['pair.example'], secretName: 'pair-b' }],
      }),
    );
    await eventually('ECDSA', async () => (await serial('pair', elliptic).catch(() => '')) === pairs.a.serial);
    await eventually('RSA', async () => (await serial('pair', rsa).catch(() => '')) === pairs.b.serial);
    expect((await cluster.events()).filter(({ name }) => name.startsWith('pair'))).toEqual([]);
  });
});

describe('endpoints that are no pods', () => {
  test.each(['http', 'https'] as const)(
    'the own %s listener is refused by name, and nothing goes round',
    async (which) => {
      cluster.write(
        'self',
        service('self'),
        addresses('self', 0, cluster[which], ['127.0.0.1']),
        ingress('self', { rules: [rule('self')] }),
      );
      const { code, message } = await told('endpoints', 'shop/self-0', `is the ${which} listener of this node itself`);
      expect(code).toBe('HG1002');
      expect(message).toContain('127.0.0.1');
      // Its host comes by way of the hub.
      await cluster.serves('self.example', '/', 503);
      cluster.write('self');
      await cluster.serves('self.example', '/', 404);
    },
  );

  test('the metadata server of a cloud is refused by name', async () => {
    cluster.write(
      'meta',
      service('meta'),
      addresses('meta', 0, 80, ['169.254.169.254']),
      ingress('meta', { rules: [rule('meta')] }),
    );
    expect((await told('EndpointSlice', 'meta-0', '169.254.169.254')).code).toBe('HG1002');
    await cluster.serves('meta.example', '/', 503);
  });
});

test('and the good host serves on', async () => expect(await cluster.who('good.example')).toBe('good'));

async function leafBetween(
  name: string,
  fromDays: number,
  toDays: number,
  serialNumber = '1A2B',
  kind: 'ECDSA' | 'RSA' = 'ECDSA',
) {
  const signingAlgorithm =
    kind === 'ECDSA'
      ? { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
      : {
          name: 'RSASSA-PKCS1-v1_5',
          hash: 'SHA-256',
          modulusLength: 2_048,
          publicExponent: Uint8Array.of(1, 0, 1),
        };
  const keys = await webcrypto.subtle.generateKey(signingAlgorithm, true, ['sign', 'verify']);
  const day = 86_400_000;
  const made = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber,
    name: `CN=${name}`,
    keys,
    signingAlgorithm,
    notBefore: new Date(Date.now() + fromDays * day),
    notAfter: new Date(Date.now() + toDays * day),
    extensions: [new x509.SubjectAlternativeNameExtension([{ type: 'dns', value: name }])],
  });
  const key = KeyObject.from(keys.privateKey).export({ type: 'pkcs8', format: 'pem' }).toString();
  return { certificate: made.toString('pem'), key, serial: serialNumber };
}
