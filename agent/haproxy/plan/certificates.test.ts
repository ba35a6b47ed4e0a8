import { expect, test } from 'vitest';
import { Certificates } from './certificates.ts';
import { Draft } from './draft.ts';
import { DesiredState } from './state.ts';

interface Given {
  /** Namespace by host, in the order in which they come. */
  readonly owners: readonly (readonly [string, string | undefined])[];
  /** Of a certificate of namespace `shop`. */
  readonly hosts: readonly string[];
}

function served({ owners, hosts }: Given): readonly string[] {
  const state = new DesiredState();
  const certificates = new Certificates(state, undefined);
  const offer = () => certificates.set('shop/tls', { namespace: 'shop', hosts, pem: 'pem', fallback: false });
  const own = () => {
    for (const [host, namespace] of owners) certificates.setOwner(host, namespace);
  };
  for (const step of [offer, own]) {
    step();
    certificates.refresh(new Draft());
  }
  const entries = [...state.certificates.values()].flatMap((entry) => entry.hosts);
  // The other way round gives the same.
  const other = new DesiredState();
  const reverse = new Certificates(other, undefined);
  for (const [host, namespace] of owners) reverse.setOwner(host, namespace);
  reverse.set('shop/tls', { namespace: 'shop', hosts, pem: 'pem', fallback: false });
  reverse.refresh(new Draft());
  expect([...other.certificates.keys()]).toEqual([...state.certificates.keys()]);
  return entries;
}

test.each([
  ['its own host', [['a.x', 'shop']], ['a.x'], ['a.x']],
  ["another's host", [['a.x', 'rival']], ['a.x'], []],
  ["nobody's host", [], ['a.x'], []],
  ['one of two', [['a.x', 'shop']], ['a.x', 'b.x'], ['a.x']],
  ['its own wildcard', [['*.x', 'shop']], ['*.x'], ['*.x']],
  ['an exact name under its own wildcard', [['*.x', 'shop']], ['a.x'], ['a.x']],
  ["an exact name under another's wildcard", [['*.x', 'rival']], ['a.x'], []],
  [
    "another's exact name under its own wildcard",
    [
      ['*.x', 'shop'],
      ['a.x', 'rival'],
    ],
    ['a.x'],
    [],
  ],
  [
    'a wildcard over its own exact hosts',
    [
      ['a.x', 'shop'],
      ['b.x', 'rival'],
      ['c.x', 'shop'],
      ['d.c.x', 'shop'],
    ],
    ['*.x'],
    ['a.x', 'c.x'],
  ],
  [
    "another's wildcard over its own exact host",
    [
      ['*.x', 'rival'],
      ['a.x', 'shop'],
    ],
    ['*.x'],
    ['a.x'],
  ],
  [
    'a host that changed hands',
    [
      ['a.x', 'shop'],
      ['a.x', 'rival'],
    ],
    ['a.x'],
    [],
  ],
  [
    'a host that went',
    [
      ['a.x', 'shop'],
      ['a.x', undefined],
    ],
    ['a.x'],
    [],
  ],
] as const)('a certificate for %s', (_what, owners, hosts, expected) => {
  expect(served({ owners, hosts })).toEqual(expected);
});

test('what its own wildcard gave goes with the wildcard', () => {
  const state = new DesiredState();
  const certificates = new Certificates(state, undefined);
  certificates.set('shop/tls', { namespace: 'shop', hosts: ['a.x'], pem: 'pem', fallback: false });
  certificates.setOwner('*.x', 'shop');
  certificates.refresh(new Draft());
  expect(certificates.nameOf([...state.certificates.keys()][0] ?? '')).toBe('shop/tls');
  certificates.setOwner('*.x', undefined);
  const draft = new Draft();
  certificates.refresh(draft);
  expect(draft.finish().ops.map(({ op, resource }) => [op.kind, resource?.name])).toEqual([
    ['certificate-remove', 'shop/tls'],
  ]);
});

test('one that is offered for clients without a name serves them, until it goes', () => {
  const state = new DesiredState();
  const certificates = new Certificates(state, 'self-made');
  const change = () => {
    const draft = new Draft();
    certificates.refresh(draft);
    return draft
      .finish()
      .ops.map(({ op, resource }) => [op.kind, 'certificate' in op && op.certificate.pem, resource?.name]);
  };
  certificates.set('ops/default', { namespace: 'ops', hosts: [], pem: 'given', fallback: true });
  expect(change()).toEqual([['certificate-update', 'given', 'ops/default']]);
  expect([...state.certificates.keys()]).toEqual([]);
  certificates.set('ops/default', { namespace: 'ops', hosts: [], pem: 'renewed', fallback: true });
  expect(change()).toEqual([['certificate-update', 'renewed', 'ops/default']]);
  certificates.set('shop/tls', { namespace: 'shop', hosts: ['a.x'], pem: 'pem', fallback: false });
  expect(change()).toEqual([]);
  certificates.set('ops/default', undefined);
  expect(change()).toEqual([['certificate-update', 'self-made', 'ops/default']]);
});
