import { hostPort } from '../model/address.ts';
import type { Server } from '../model/desired.ts';
import { files } from '../model/names.ts';

/**
 * Kubernetes readiness says which endpoints there are; these checks are for what it has not seen yet. One failed
 * connection marks a server down, so the next request finds it gone; half a second later it is tried again.
 */
const health =
  'check inter 2s fastinter 500ms downinter 500ms fall 2 rise 1 observe layer4 error-limit 1 on-error mark-down';

/**
 * Address and full option list of a server, the same words in a file and in `add server`, which inherits
 * nothing. Draining is weight 0, which both know.
 * @param peer DNS name that the server's certificate must carry; undefined for plain HTTP.
 */
export function serverLine(server: Server, peer: string | undefined): string {
  const line = `${hostPort(server)} weight ${weight(server)} ${health}`;
  if (peer === undefined) return line;
  // The health check asks for the gateway's probe page over HTTP/1.1: HAProxy 2.6 cannot check over HTTP/2.
  return (
    `${line} ssl ca-file ${files.gatewayCa} crt ${files.gatewayCertificate} verify required verifyhost ${peer} ` +
    `sni str(${peer}) alpn h2 check-ssl check-sni ${peer} check-alpn http/1.1`
  );
}

export function weight({ state }: Server): number {
  return state === 'ready' ? 1 : 0;
}
