import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type Pair, type TestAuthority, testAuthority } from './certificates.ts';
import { type Handshake, handshake, Http2 } from './clients.ts';
import { inNamespace, ingress, type KubeObject, secret, served } from './objects.ts';
import { eventually, OneCluster } from './one-cluster.ts';

// TLS Secrets: which certificate a client gets by the name that it asks for (SNI).

const HOSTS = [
  'ec.example',
  'rsa.example',
  'one.example',
  'two.example',
  'a.wild.example',
  'b.wild.example',
  '*.all.example',
  'dual.example',
  'bare.example',
  'implied.example',
  'renewed.example',
] as const;
const DEFAULT = 'default';

let authority: TestAuthority;
let pairs: Readonly<Record<string, Pair>>;
let cluster: OneCluster;

const pair = (name: string): Pair => {
  const found = pairs[name];
  if (found === undefined) throw new Error(`no pair ${name}`);
  return found;
};

beforeAll(async () => {
  authority = await testAuthority();
  const leaf = async (...names: string[]) => await authority.leaf(names);
  pairs = {
    ec: await leaf('ec.example'),
    rsa: await authority.leaf(['rsa.example'], 'RSA'),
    // It also holds names that its Ingress does not list, one of them another namespace's.
    both: await leaf('one.example', 'two.example', 'bare.example', 'rival.example', 'nobody.example'),
    wild: await leaf('*.wild.example'),
    all: await leaf('*.all.example'),
    'dual-ec': await leaf('dual.example'),
    'dual-rsa': await authority.leaf(['dual.example'], 'RSA'),
    implied: await leaf('implied.example'),
    renewed: await leaf('renewed.example'),
    stranger: await leaf('elsewhere.example'),
    stolen: await leaf('ec.example', 'rival.example'),
  };
  const tls = [
    { hosts: ['ec.example'], secretName: 'ec' },
    { hosts: ['rsa.example'], secretName: 'rsa' },
    { hosts: ['one.example', 'two.example', 'nobody.example'], secretName: 'both' },
    // The usual way to write a wildcard certificate for rules with exact hosts.
    { hosts: ['*.wild.example'], secretName: 'wild' },
    { hosts: ['*.all.example'], secretName: 'all' },
    { hosts: ['dual.example'], secretName: 'dual-ec' },
    { hosts: ['dual.example'], secretName: 'dual-rsa' },
    { hosts: ['renewed.example'], secretName: 'renewed' },
    { hosts: ['bare.example'], secretName: 'stranger' },
  ];
  const rules = HOSTS.filter((host) => host !== 'implied.example').map((host) => ({
    host,
    paths: [{ path: '/', to: 'web' }],
  }));
  cluster = await OneCluster.start(['web'], (pod) => ({
    web: served('web', pod('web')),
    secrets: Object.entries(pairs)
      .filter(([name]) => !['renewed', 'stolen'].includes(name))
      .map(([name, pair]) => secret(name, pair)),
    renewed: [secret('renewed', pair('renewed'))],
    ingress: [ingress('all', { rules, tls })],
    // Without hosts, the entry is for those of the rules.
    implied: [
      ingress('implied', {
        rules: [{ host: 'implied.example', paths: [{ path: '/', to: 'web' }] }],
        tls: [{ secretName: 'implied' }],
      }),
    ],
    rival: [
      inNamespace('rival', ingress('rival', { rules: [{ host: 'rival.example', paths: [{ path: '/', to: 'web' }] }] })),
    ],
  }));
  await cluster.serves('renewed.example', '/', 'web');
  await eventually('certificates', async () => (await serial('renewed.example')) === pair('renewed').serial);
});

afterAll(async () => await cluster[Symbol.asyncDispose]());

/** Serial of the certificate that a client gets, or DEFAULT for the self-made one. */
async function serial(servername: string, options: Partial<Handshake> = {}): Promise<string> {
  const socket = await handshake(cluster.https, { servername, ...options });
  const { subject, serialNumber } = socket.getPeerCertificate();
  socket.destroy();
  return subject.CN === 'Headgate default certificate' ? DEFAULT : serialNumber;
}

describe('by SNI', () => {
  test.each([
    ['ec.example', 'ec'],
    ['EC.Example', 'ec'],
    ['rsa.example', 'rsa'],
    ['one.example', 'both'],
    ['two.example', 'both'],
    ['a.wild.example', 'wild'],
    ['b.wild.example', 'wild'],
    ['any.all.example', 'all'],
    ['implied.example', 'implied'],
  ])('%s gets its own, and the client can verify it', async (host, name) => {
    expect(await serial(host, { ca: authority.certificate })).toBe(pair(name).serial);
  });

  test.each([
    ['a name that nobody has', 'unknown.example'],
    ['no name', ''],
    ['two labels under a wildcard', 'x.any.all.example'],
    ['the wildcard’s own domain', 'all.example'],
    ['a name under a wildcard entry that no rule has', 'c.wild.example'],
    ['a host whose certificate is for another name', 'bare.example'],
    ['a name in a certificate that belongs to another namespace', 'rival.example'],
    ['a listed name that no rule has', 'nobody.example'],
  ])('%s gets the self-made default', async (_what, host) => {
    expect(await serial(host)).toBe(DEFAULT);
  });

  test('a host with an ECDSA and an RSA certificate gives the one that the client can verify', async () => {
    const ca = authority.certificate;
    const only = async (sigalgs: string, maxVersion?: 'TLSv1.2') =>
      await serial('dual.example', { ca, sigalgs, ...(maxVersion === undefined ? {} : { maxVersion }) });
    expect(await only('ecdsa_secp256r1_sha256')).toBe(pair('dual-ec').serial);
    expect(await only('rsa_pss_rsae_sha256:ecdsa_secp256r1_sha256')).toBe(pair('dual-ec').serial);
    expect(await only('ecdsa_secp256r1_sha256', 'TLSv1.2')).toBe(pair('dual-ec').serial);
    // The authority's own signature is ECDSA, so a client of RSA alone cannot verify the chain. HAProxy knows RSA by
    // PKCS #1, which every client offers for certificates.
    expect(await serial('dual.example', { sigalgs: 'rsa_pss_rsae_sha256:rsa_pkcs1_sha256' })).toBe(
      pair('dual-rsa').serial,
    );
  });
});

test('a certificate that does not cover its host is told, and so is a Secret that is not there', async () => {
  cluster.write(
    'missing',
    ingress('missing', {
      rules: [{ host: 'missing.example', paths: [{ path: '/', to: 'web' }] }],
      tls: [{ hosts: ['missing.example'], secretName: 'not-there' }],
    }),
  );
  await cluster.serves('missing.example', '/', 'web');
  const events = await cluster.events();
  expect(events).toContainEqual(expect.objectContaining({ code: 'HG1003', name: 'missing' }));
  expect(events).toContainEqual(
    expect.objectContaining({
      code: 'HG1004',
      name: 'all',
      message: expect.stringContaining('bare.example') as string,
    }),
  );
  expect(await serial('missing.example')).toBe(DEFAULT);
  cluster.write('missing');
});

test('a certificate that another namespace makes for a host of ours serves nothing', async () => {
  const theft = (hosts: readonly string[]): KubeObject[] => [
    inNamespace('rival', secret('stolen', pair('stolen'))),
    inNamespace('rival', ingress('theft', { tls: [{ hosts, secretName: 'stolen' }], defaultBackend: 'web' })),
  ];
  // Its own host goes live with it, so the other would be too.
  cluster.write('theft', ...theft(['ec.example', 'rival.example', '*.all.example']));
  await eventually('its own host', async () => (await serial('rival.example')) === pair('stolen').serial);
  for (let i = 0; i < 5; i++) expect(await serial('ec.example')).toBe(pair('ec').serial);
  expect(await serial('x.all.example')).toBe(pair('all').serial);
  cluster.write('theft');
  await eventually('gone', async () => (await serial('rival.example')) === DEFAULT);
});

describe('at runtime', () => {
  test('a renewed certificate is served at once, and a broken one changes nothing', async () => {
    const client = await Http2.connect(cluster.https, { servername: 'renewed.example', ca: authority.certificate });
    await using _closing = client;
    const next = await authority.leaf(['renewed.example'], 'RSA');
    cluster.write('renewed', secret('renewed', next));
    await eventually('the next serial', async () => (await serial('renewed.example')) === next.serial);
    // What was open stays.
    expect((await client.ask({ host: 'renewed.example', path: '/' })).status).toBe(200);

    cluster.write('renewed', secret('renewed', { ...next, key: pair('ec').key }));
    await eventually('the mismatch is told', async () =>
      (await cluster.events()).some(
        ({ code, kind, name }) => code === 'HG1004' && kind === 'Secret' && name === 'renewed',
      ),
    );
    expect(await serial('renewed.example')).toBe(next.serial);
    const third = await authority.leaf(['renewed.example']);
    cluster.write('renewed', secret('renewed', third));
    await eventually('the third serial', async () => (await serial('renewed.example')) === third.serial);
  });

  test('a certificate of a new host, then none', async () => {
    const fresh = await authority.leaf(['fresh.example']);
    cluster.write(
      'fresh',
      secret('fresh', fresh),
      ingress('fresh', {
        rules: [{ host: 'fresh.example', paths: [{ path: '/', to: 'web' }] }],
        tls: [{ hosts: ['fresh.example'], secretName: 'fresh' }],
      }),
    );
    await eventually('its certificate', async () => (await serial('fresh.example')) === fresh.serial);
    cluster.write('fresh', ingress('fresh', { rules: [{ host: 'fresh.example', paths: [{ path: '/', to: 'web' }] }] }));
    await eventually('the default', async () => (await serial('fresh.example')) === DEFAULT);
    expect(await cluster.who('fresh.example')).toBe('web');
  });

  test('a Secret that goes takes its certificate along', async () => {
    cluster.write('renewed');
    await eventually('the default', async () => (await serial('renewed.example')) === DEFAULT);
    expect(await cluster.who('renewed.example')).toBe('web');
  });
});

test('nothing of this needed a reload', async () => expect(await cluster.reloads()).toBe(0));
