import { compare } from '../../../lib/compare.ts';
import type { UsableCertificate } from './certificate.ts';
import type { Fault } from './problems.ts';
import { References } from './references.ts';

/** A host that another Secret's certificate serves. */
interface Lost {
  readonly host: string;
  /** `<namespace>/<name>` of the other Secret. */
  readonly winner: string;
}

type Offered = Pick<UsableCertificate, 'keyType' | 'notAfter'>;

/** Hosts that a problem names before it counts the rest. */
const MOST_NAMED = 5;

/**
 * Which Secret's certificate serves a host where several of a namespace are offered for it. HAProxy keeps one for each
 * class of keys, RSA and ECDSA, and which one would hang on the order in which they were loaded: here the one that is
 * valid longest has the host, and of those the first by name. Secrets are named `<namespace>/<name>`.
 */
export class CertificateClaims {
  readonly #offered = new Map<string, Offered>();
  readonly #hosts = new Map<string, readonly string[]>();
  /** Secret → host of its namespace, with the class of key. */
  readonly #claimed = new References();

  /**
   * Replaces what a Secret is offered for.
   * @returns the other Secrets for which that may change something.
   */
  set(secret: string, offered: Offered | undefined, hosts: readonly string[]): ReadonlySet<string> {
    const places = offered === undefined ? [] : hosts.map((host) => placeOf(secret, offered, host));
    const before = this.#offered.get(secret);
    const isSame =
      before?.notAfter === offered?.notAfter &&
      places.length === this.#claimed.to(secret).size &&
      places.every((place) => this.#claimed.to(secret).has(place));
    if (isSame) return new Set();
    const touched = new Set([...this.#claimed.to(secret), ...places]);
    if (offered === undefined) {
      this.#offered.delete(secret);
      this.#hosts.delete(secret);
    } else {
      this.#offered.set(secret, offered);
      this.#hosts.set(secret, hosts);
    }
    this.#claimed.set(secret, places);
    const rivals = new Set([...touched].flatMap((place) => [...this.#claimed.from(place)]));
    rivals.delete(secret);
    return rivals;
  }

  /** The hosts that a Secret's certificate serves, and those that another's does. */
  settle(secret: string): { readonly hosts: readonly string[]; readonly lost: readonly Lost[] } {
    const offered = this.#offered.get(secret);
    if (offered === undefined) return { hosts: [], lost: [] };
    const hosts: string[] = [];
    const lost: Lost[] = [];
    for (const host of this.#hosts.get(secret) ?? []) {
      const winner = this.#first(this.#claimed.from(placeOf(secret, offered, host)));
      if (winner === undefined || winner === secret) hosts.push(host);
      else lost.push({ host, winner });
    }
    return { hosts, lost };
  }

  #first(secrets: ReadonlySet<string>): string | undefined {
    const until = (secret: string): number => this.#offered.get(secret)?.notAfter ?? 0;
    return [...secrets].sort((a, b) => until(b) - until(a) || compare(a, b))[0];
  }
}

/** That a Secret's certificate serves less than it is asked for. */
export function lostFaults(secret: string, lost: readonly Lost[]): Fault[] {
  if (lost.length === 0) return [];
  const named = lost.slice(0, MOST_NAMED).map(({ host, winner }) => `"${host}" (Secret ${winner} does)`);
  const more = lost.length > MOST_NAMED ? ` and ${lost.length - MOST_NAMED} more` : '';
  return [
    {
      code: 'HG1011',
      field: 'data[tls.crt]',
      message: `the certificate of Secret ${secret} does not serve ${named.join(', ')}${more}: of two with the same kind of key the one that is valid longer serves`,
      remedy: 'name one Secret for the host in spec.tls, or give the two an RSA and an ECDSA key',
      severity: 'warning',
    },
  ];
}

function placeOf(secret: string, { keyType }: Offered, host: string): string {
  return `${secret.slice(0, secret.indexOf('/'))} ${keyType.split('-', 1)[0] ?? ''} ${host}`;
}
