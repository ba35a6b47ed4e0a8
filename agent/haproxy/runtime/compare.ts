import { X509Certificate } from 'node:crypto';
import { pemBlocks } from '../../../lib/pem.ts';
import type { Op } from '../model/change.ts';
import type { CertificateEntry, Desired, Fixed, Link, PeerSlot, Slot } from '../model/desired.ts';
import { files, mapNames } from '../model/names.ts';
import type { MapName } from '../model/names.ts';
import { weight } from '../render/server-line.ts';
import type { Observed } from './observe.ts';

export interface Difference {
  /** Backends that only a reload can bring. */
  readonly missingBackends: readonly string[];
  /** What mends the rest. A step may undo what is half there before it is made whole, and then may be refused. */
  readonly ops: readonly Op[];
}

/** Servers in maintenance are on their way out: they count as gone. */
export function compare(desired: Desired, observed: Observed): Difference {
  const backends: readonly (Slot | PeerSlot)[] = [...desired.slots, ...desired.peers];
  const missingBackends = backends.map(({ name }) => name).filter((name) => !observed.backends.has(name));
  const wrong = certificates(desired, observed);
  const trust = authorities(desired, observed);
  // What a step rests on stands before it, and goes after it.
  return {
    missingBackends,
    ops: [
      ...trust.make,
      ...wrong.make,
      ...backends.flatMap((backend) => serversToMake(backend, observed)),
      ...mapNames.flatMap((map) => mapToMake(desired, observed, map)),
      ...mapNames.flatMap((map) => mapToDrop(desired, observed, map)),
      ...backends.flatMap((backend) => serversToDrop(backend, observed)),
      ...wrong.drop,
      ...trust.drop,
    ],
  };
}

function mapToMake({ maps }: Desired, observed: Observed, map: MapName): Op[] {
  const held = observed.maps.get(map);
  if (held === undefined) return [];
  const ops: Op[] = [];
  for (const [key, value] of maps[map]) {
    const repeated = held.repeated.has(key);
    if (held.entries.get(key) === value && !repeated) continue;
    if (repeated) ops.push({ kind: 'map-delete', map, key });
    ops.push({ kind: 'map-set', map, key, value, isNew: repeated || !held.entries.has(key) });
  }
  return ops;
}

function mapToDrop({ maps }: Desired, observed: Observed, map: MapName): Op[] {
  return [...(observed.maps.get(map)?.entries.keys() ?? [])]
    .filter((key) => maps[map].get(key) === undefined)
    .map((key) => ({ kind: 'map-delete', map, key }));
}

export function linkOf(backend: Slot | PeerSlot): Link {
  return 'serverName' in backend
    ? { kind: 'gateway', serverName: backend.serverName ?? '' }
    : { kind: 'endpoint', settings: backend.settings };
}

function serversToMake(backend: Slot | PeerSlot, observed: Observed): Op[] {
  const held = observed.servers.get(backend.name);
  return [...backend.servers.values()].flatMap((server): Op[] => {
    const one = held?.get(server.name);
    if (one === undefined || one.maintenance) {
      return [{ kind: 'server-add', backend: backend.name, server, link: linkOf(backend) }];
    }
    return one.weight === weight(server) ? [] : [{ kind: 'server-state', backend: backend.name, server }];
  });
}

function serversToDrop(backend: Slot | PeerSlot, observed: Observed): Op[] {
  return [...(observed.servers.get(backend.name) ?? [])]
    .filter(([name, { maintenance }]) => !backend.servers.has(name) && !maintenance)
    .map(([name, { address, port }]) => ({
      kind: 'server-remove',
      backend: backend.name,
      server: { name, address, port, state: 'drain' },
    }));
}

function authorities(desired: Desired, observed: Observed): { make: Op[]; drop: Op[] } {
  return {
    make: [...desired.authorities]
      .filter(([file]) => !observed.authorities.has(file))
      .map(([file, pem]) => ({ kind: 'authority-add', file, pem })),
    drop: [...observed.authorities]
      .filter((file) => !desired.authorities.has(file))
      .map((file) => ({ kind: 'authority-remove', file })),
  };
}

function certificates(desired: Desired, { list, fingerprints }: Observed): { make: Op[]; drop: Op[] } {
  const make: Op[] = [];
  for (const certificate of desired.certificates.values()) {
    const { file, hosts } = certificate;
    const loaded = fingerprints.get(file);
    if (list.get(file) === hosts.join(' ') && loaded !== undefined) {
      if (loaded !== fingerprint(certificate)) make.push({ kind: 'certificate-update', certificate });
      continue;
    }
    if (loaded !== undefined || list.has(file)) make.push({ kind: 'certificate-remove', certificate });
    make.push({ kind: 'certificate-add', certificate });
  }
  const { defaultCertificate: pem } = desired;
  if (pem !== undefined && fingerprints.get(files.defaultCertificate) !== leafFingerprint(pem)) {
    make.push({ kind: 'certificate-update', certificate: { file: files.defaultCertificate, hosts: [], pem } });
  }
  // Ours by name; the default and the gateway's are told apart by theirs.
  const drop = [...fingerprints.keys()]
    .filter((file) => file.startsWith('certs/c-') && !desired.certificates.has(file))
    .map((file): Op => ({ kind: 'certificate-remove', certificate: { file, hosts: [], pem: '' } }));
  return { make, drop };
}

const known = new WeakMap<CertificateEntry, string>();

function fingerprint(certificate: CertificateEntry): string {
  let print = known.get(certificate);
  if (print === undefined) known.set(certificate, (print = leafFingerprint(certificate.pem)));
  return print;
}

/** What of the gateway's credentials a worker lacks. */
export function gatewayDifference(
  fixed: Pick<Fixed, 'gatewayCertificate' | 'gatewayCa'>,
  { fingerprints, gatewayCas }: Pick<Observed, 'fingerprints' | 'gatewayCas'>,
): { readonly certificate: boolean; readonly ca: boolean } {
  const trusted = new Set(pemBlocks(fixed.gatewayCa).map(({ text }) => leafFingerprint(text)));
  return {
    certificate: fingerprints.get(files.gatewayCertificate) !== leafFingerprint(fixed.gatewayCertificate),
    ca: trusted.size !== gatewayCas.size || [...trusted].some((one) => !gatewayCas.has(one)),
  };
}

/** SHA-1 of a PEM's first certificate, as HAProxy writes it. */
export function leafFingerprint(pem: string): string {
  return new X509Certificate(pem).fingerprint.replaceAll(':', '');
}
