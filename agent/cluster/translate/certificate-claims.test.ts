import { expect, test } from 'vitest';
import { CertificateClaims, lostFaults } from './certificate-claims.ts';

const ecdsa = (notAfter: number) => ({ keyType: 'ECDSA-P256', notAfter });
const rsa = (notAfter: number) => ({ keyType: 'RSA-2048', notAfter });

test('the one that is valid longest has the host, then the first by name, in whatever order they came', () => {
  const offers = [
    ['shop/b', ecdsa(2)],
    ['shop/a', ecdsa(2)],
    ['shop/c', { keyType: 'ECDSA-P384', notAfter: 1 }],
    ['shop/r', rsa(1)],
    ['other/z', ecdsa(9)],
  ] as const;
  for (const order of [offers, offers.toReversed()]) {
    const claims = new CertificateClaims();
    for (const [secret, offered] of order) claims.set(secret, offered, ['x.example']);
    expect(claims.settle('shop/a')).toEqual({ hosts: ['x.example'], lost: [] });
    for (const loser of ['shop/b', 'shop/c'])
      expect(claims.settle(loser)).toEqual({ hosts: [], lost: [{ host: 'x.example', winner: 'shop/a' }] });
    // Another class of key, and another namespace, whose right to the host is not judged here.
    for (const one of ['shop/r', 'other/z']) expect(claims.settle(one).hosts).toEqual(['x.example']);
  }
});

test('tells whom a change concerns', () => {
  const claims = new CertificateClaims();
  expect([...claims.set('shop/a', ecdsa(1), ['x.example', 'y.example'])]).toEqual([]);
  expect([...claims.set('shop/b', ecdsa(2), ['x.example'])]).toEqual(['shop/a']);
  expect([...claims.set('shop/b', ecdsa(2), ['x.example'])]).toEqual([]);
  expect(claims.settle('shop/a')).toEqual({ hosts: ['y.example'], lost: [{ host: 'x.example', winner: 'shop/b' }] });
  expect([...claims.set('shop/b', undefined, [])]).toEqual(['shop/a']);
  expect(claims.settle('shop/a').hosts).toEqual(['x.example', 'y.example']);
  expect(claims.settle('shop/b')).toEqual({ hosts: [], lost: [] });
});

test('names the Secret, the host and the winner, and counts what is too much to name', () => {
  const lost = Array.from({ length: 7 }, (_, i) => ({ host: `h${i}.example`, winner: 'shop/b' }));
  expect(lostFaults('shop/a', [])).toEqual([]);
  expect(lostFaults('shop/a', lost)[0]?.message).toMatch(
    /^the certificate of Secret shop\/a does not serve "h0.example" \(Secret shop\/b does\), .*"h4.example" \(Secret shop\/b does\) and 2 more: /,
  );
});
