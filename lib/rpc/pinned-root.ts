import { once } from 'node:events';
import { connect } from 'node:tls';
import { formatAddress, parseAddress } from '../config/address.ts';
import { HeadgateError } from '../errors.ts';
import { isSignedBy, spkiHash } from '../identity/certificate.ts';

const timeoutMs = 10_000;
/** Certificates of a chain that are looked at. */
const maxChain = 8;

/**
 * Asks a server for its chain and gives the root in it whose key has the hash, PEM: what a join token lets
 * an agent trust before it has any certificate. Nothing is sent; dial with this root afterwards.
 *
 * @param rootSpki SHA-256 of the root's SubjectPublicKeyInfo, base64url.
 * @throws HeadgateError HG3001 not reachable, HG2005 no such root.
 */
export async function fetchPinnedRoot(address: string, rootSpki: string, signal: AbortSignal): Promise<string> {
  const { host, port } = parseAddress(address);
  const peer = formatAddress({ host, port });
  // Unverified on purpose: only a certificate with the pinned key is taken, and it is verified against later.
  const socket = connect({ host, port, rejectUnauthorized: false, minVersion: 'TLSv1.3', ALPNProtocols: ['h2'] });
  try {
    await once(socket, 'secureConnect', { signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]) });
    let presented = socket.getPeerX509Certificate();
    for (let depth = 0; presented !== undefined && depth < maxChain; depth++) {
      if (spkiHash(presented) === rootSpki && isSignedBy(presented, presented)) return presented.toString();
      presented = presented.issuerCertificate;
    }
  } catch (cause) {
    throw HeadgateError.from(cause, 'HG3001', `${peer} is not reachable`);
  } finally {
    socket.destroy();
  }
  throw new HeadgateError('HG2005', `${peer} does not show the root that the join token names`, {
    remedy: 'check the address, or make a new token at this hub with: headgate cluster add NAME',
  });
}
