import { expect, test } from 'vitest';
import { baseFile } from './base.ts';

const listeners = { http: '0.0.0.0:8080', https: '0.0.0.0:8443', gateway: '0.0.0.0:7444' };
const rest = {
  cluster: 'eu',
  gatewayCertificate: '',
  gatewayCa: '',
  defaultCertificate: '',
  cookieKey: 'k',
  threads: 2,
};

// `vitest -u` rewrites the golden files.
test.each([
  ['plain', { ...listeners, proxyProtocol: false, tlsPassthrough: false }],
  ['chained', { ...listeners, proxyProtocol: true, tlsPassthrough: true }],
  [
    'hops',
    {
      ...listeners,
      https: '[::]:8443',
      proxyProtocol: true,
      tlsPassthrough: true,
      trustedHops: ['10.0.0.0/8', '2001:db8::1/128'],
    },
  ],
])('the fixed rules, %s', async (name, listeners) => {
  await expect(baseFile({ ...rest, listeners })).toMatchFileSnapshot(`testdata/base-${name}.cfg`);
});
