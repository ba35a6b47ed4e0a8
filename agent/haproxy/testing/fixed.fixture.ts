import type { Fixed } from '../model/desired.ts';

/** For files that no HAProxy loads. */
export const fixed: Fixed = {
  cluster: 'eu',
  listeners: {
    http: '127.0.0.1:8080',
    https: '127.0.0.1:8443',
    gateway: '127.0.0.1:7444',
    proxyProtocol: false,
    tlsPassthrough: false,
  },
  gatewayCertificate: 'gateway',
  gatewayCa: 'ca',
  defaultCertificate: 'default',
  cookieKey: 'k',
  threads: undefined,
};
