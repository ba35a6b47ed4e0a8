import type { X509Certificate } from 'node:crypto';
import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import type { Clock } from '../clock.ts';
import { verifiedIdentity } from '../identity/certificate.ts';
import type { Identity } from '../identity/identity.ts';
import type { Log } from '../log.ts';
import { TokenBucket } from './token-bucket.ts';

export interface ConnectionLimits {
  /** New connections per second on average, and at once. */
  readonly perSecond: number;
  readonly burst: number;
  /** TLS handshakes under way. */
  readonly handshakes: number;
  /** Connections without a valid certificate: callers that enrol or renew. */
  readonly anonymous: number;
  /** Milliseconds and bytes that a connection without a valid certificate may use up. */
  readonly anonymousMs: number;
  readonly anonymousBytes: number;
}

export const defaultConnectionLimits: ConnectionLimits = {
  perSecond: 500,
  burst: 2_000,
  handshakes: 2_048,
  anonymous: 64,
  anonymousMs: 30_000,
  anonymousBytes: 256 * 1024,
};

/** Who a verified client certificate speaks for. */
export interface Peer {
  readonly identity: Identity;
  /** The certificate's serial number, upper-case hex. */
  readonly serial: string;
}

interface Secured {
  readonly socket: TLSSocket;
  readonly peer: Peer | undefined;
  /** Unix milliseconds at which the certificate expires. */
  readonly expiresAt: number;
  /** Clock milliseconds at which it was made. */
  readonly since: number;
}

/**
 * Reads who a peer's certificate speaks for whose chain was verified; `undefined` for one that is nobody's.
 *
 * @param roots subjects of the roots that it may come from.
 */
export function peerOf(certificate: X509Certificate, roots: ReadonlySet<string>): Peer | undefined {
  const identity = verifiedIdentity(certificate, roots);
  return identity === undefined ? undefined : { identity, serial: certificate.serialNumber };
}

/** `ADDRESS:PORT` of the other end: the same for a TCP connection and the TLS one over it. */
function remoteOf({ remoteAddress, remotePort }: Socket): string {
  return `${remoteAddress}:${remotePort}`;
}

/** The live connections of one server, and which new ones it takes. */
export class Connections {
  readonly #clock: Clock;
  readonly #log: Log;
  readonly #limits: ConnectionLimits;
  readonly #bucket: TokenBucket;
  /** TCP connections whose TLS does not stand yet, by remoteOf. */
  readonly #handshaking = new Map<string, Socket>();
  readonly #secured = new Set<Secured>();
  #anonymous = 0;

  constructor(clock: Clock, log: Log, limits: ConnectionLimits) {
    this.#clock = clock;
    this.#log = log;
    this.#limits = limits;
    this.#bucket = new TokenBucket(clock, limits.perSecond, limits.burst);
  }

  /** A TCP connection has come; false when it is one too many and was closed. */
  opened(socket: Socket): boolean {
    if (this.#handshaking.size >= this.#limits.handshakes || !this.#bucket.take()) {
      socket.destroy();
      return false;
    }
    const remote = remoteOf(socket);
    this.#handshaking.set(remote, socket);
    socket.once('close', () => {
      if (this.#handshaking.get(remote) === socket) this.#handshaking.delete(remote);
    });
    return true;
  }

  /** A TLS connection stands; false when it is one too many and was closed. */
  secured(socket: TLSSocket, roots: ReadonlySet<string>, admit: (peer: Peer) => boolean): boolean {
    this.#handshaking.delete(remoteOf(socket));
    const certificate = socket.authorized ? socket.getPeerX509Certificate() : undefined;
    const peer = certificate === undefined ? undefined : peerOf(certificate, roots);
    const refused = peer === undefined ? this.#anonymous >= this.#limits.anonymous : !admit(peer);
    if (refused) {
      this.#log.warn('connection refused', { remote: socket.remoteAddress, ...peer?.identity, serial: peer?.serial });
      socket.destroy();
      return false;
    }
    const secured: Secured = {
      socket,
      peer,
      expiresAt: peer === undefined ? Infinity : (certificate?.validToDate.getTime() ?? 0),
      since: this.#clock.now(),
    };
    this.#secured.add(secured);
    if (peer === undefined) this.#anonymous++;
    socket.once('close', () => {
      this.#secured.delete(secured);
      if (peer === undefined) this.#anonymous--;
    });
    return true;
  }

  /** Cuts connections with a valid certificate that `predicate` picks; gives how many. */
  closeWhere(predicate: (identity: Identity, serial: string) => boolean): number {
    return this.#cut(({ peer }) => peer !== undefined && predicate(peer.identity, peer.serial));
  }

  /** Cuts the connection from `ADDRESS:PORT`. */
  closeRemote(remote: string): void {
    this.#cut(({ socket }) => remoteOf(socket) === remote);
  }

  /** Cuts what has outlived its certificate, or its welcome. Called a few times a second. */
  sweep(): void {
    const { anonymousMs, anonymousBytes } = this.#limits;
    const now = this.#clock.now();
    const wall = this.#clock.wall();
    this.#cut(({ peer, expiresAt, since, socket }) =>
      peer === undefined ? now - since > anonymousMs || socket.bytesRead > anonymousBytes : wall > expiresAt,
    );
  }

  closeAll(): void {
    for (const socket of this.#handshaking.values()) socket.destroy();
    this.#cut(() => true);
  }

  #cut(predicate: (secured: Secured) => boolean): number {
    const picked = [...this.#secured].filter(predicate);
    for (const { socket } of picked) socket.destroy();
    return picked.length;
  }
}
