import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Pair, testAuthority } from './certificates.ts';
import { handshake } from './clients.ts';
import { inNamespace, ingress, secret, served } from './objects.ts';
import { eventually, OneCluster } from './one-cluster.ts';

// --default-certificate: what a client gets whose SNI names nothing here.

let pairs: Readonly<Record<'first' | 'second' | 'own', Pair>>;
let cluster: OneCluster;

const fallback = (pair: Pair) => inNamespace('ops', secret('default', pair));

beforeAll(async () => {
  const authority = await testAuthority();
  const [first, second, own] = await Promise.all([
    authority.leaf(['*.ops.example', 'shop.example']),
    authority.leaf(['*.ops.example', 'shop.example']),
    authority.leaf(['shop.example']),
  ]);
  pairs = { first, second, own };
  cluster = await OneCluster.start(
    ['a'],
    (pod) => ({
      shop: [
        ...served('a', pod('a')),
        ingress('shop', {
          rules: [{ host: 'shop.example', paths: [{ path: '/', to: 'a' }] }],
          tls: [{ hosts: ['shop.example'], secretName: 'own' }],
        }),
        secret('own', pairs.own),
      ],
      ops: [fallback(pairs.first)],
    }),
    ['--default-certificate', 'ops/default'],
  );
  await cluster.serves('shop.example', '/', 'a');
}, 60_000);

afterAll(async () => await cluster[Symbol.asyncDispose]());

/** Serial number of the certificate that a client gets; `self-made` for HAProxy's own. */
async function shown(servername: string): Promise<string> {
  const socket = await handshake(cluster.https, { servername });
  const { subject, serialNumber } = socket.getPeerCertificate();
  socket.destroy();
  return subject.CN === 'Headgate default certificate' ? 'self-made' : serialNumber;
}

const shows = async (servername: string, serial: string) =>
  await eventually(`${serial} for ${servername}`, async () => (await shown(servername)) === serial);

test('it serves where no name is known, and no name that has a certificate', async () => {
  await shows('', pairs.first.serial);
  expect(await shown('nobody.example')).toBe(pairs.first.serial);
  // It carries the name, and another namespace's certificate is for it.
  expect(await shown('shop.example')).toBe(pairs.own.serial);
});

test('renewed, broken, gone and back, without a reload', async () => {
  const reloads = await cluster.reloads();
  cluster.write('ops', fallback(pairs.second));
  await shows('', pairs.second.serial);
  // What cannot be used is told by name, and the last good one stays.
  cluster.write('ops', fallback({ ...pairs.first, key: pairs.own.key }));
  await eventually('the problem of the Secret', async () =>
    (await cluster.events()).some(
      ({ code, namespace, name }) => code === 'HG1004' && `${namespace}/${name}` === 'ops/default',
    ),
  );
  expect(await shown('')).toBe(pairs.second.serial);
  cluster.write('ops');
  await shows('', 'self-made');
  await eventually('the missing Secret', async () =>
    (await cluster.events()).some(({ code, name }) => code === 'HG1003' && name === 'default'),
  );
  cluster.write('ops', fallback(pairs.first));
  await shows('', pairs.first.serial);
  expect(await cluster.reloads()).toBe(reloads);
});
