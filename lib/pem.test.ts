import { expect, test } from 'vitest';
import { blocksBegun, pemBlocks } from './pem.ts';

const block = (label: string, end = label) => `-----BEGIN ${label}-----\nYQ==\n-----END ${end}-----`;

test('blocks are told by their labels, without what stands around them', () => {
  const text = `# a\n${block('CERTIFICATE')}\ntext${block('EC PRIVATE KEY')}`;
  expect(pemBlocks(text)).toEqual([
    { label: 'CERTIFICATE', text: block('CERTIFICATE') },
    { label: 'EC PRIVATE KEY', text: block('EC PRIVATE KEY') },
  ]);
  expect(blocksBegun(text)).toBe(2);
});

test.each([
  ['without an end', '-----BEGIN CERTIFICATE-----\nYQ=='],
  ['that ends as another', block('CERTIFICATE', 'PRIVATE KEY')],
  ['with a dash in it', '-----BEGIN CERTIFICATE-----\nY-==\n-----END CERTIFICATE-----'],
])('one %s has only begun', (_, text) => {
  expect(pemBlocks(text)).toEqual([]);
  expect(blocksBegun(text)).toBe(1);
});
