import type { Desired, Fixed } from '../model/desired.ts';
import { files, mapFile, mapNames, SLOTS_PER_FILE, slotFile } from '../model/names.ts';
import { baseFile } from './base.ts';
import { hopCertificates } from './hop.ts';
import { crtListFile, peersFile, slotsFile } from './pools.ts';

const mapOf = new Map(mapNames.map((name) => [mapFile(name), name]));

/** Every file there should be, relative to HAProxy's folder. */
function fileNames(desired: Desired): string[] {
  const shards = Math.ceil(desired.slots.length / SLOTS_PER_FILE);
  return [
    files.base,
    ...Array.from({ length: shards }, (_, i) => slotFile(i * SLOTS_PER_FILE)),
    files.peers,
    ...mapOf.keys(),
    files.crtList,
    files.defaultCertificate,
    files.gatewayCertificate,
    files.gatewayCertificates,
    files.gatewayCa,
    ...desired.certificates.keys(),
    ...desired.authorities.keys(),
  ];
}

/** @returns undefined for a file that there should not be (any more). */
export function renderFile(desired: Desired, fixed: Fixed, name: string): string | undefined {
  const map = mapOf.get(name);
  if (map !== undefined) return desired.maps[map].text();
  switch (name) {
    case files.base:
      return baseFile(fixed);
    case files.peers:
      return peersFile(desired.peers);
    case files.crtList:
      return crtListFile(desired.certificates.values());
    case files.defaultCertificate:
      return desired.defaultCertificate ?? fixed.defaultCertificate;
    case files.gatewayCertificate:
      return fixed.gatewayCertificate;
    case files.gatewayCertificates:
      return hopCertificates();
    case files.gatewayCa:
      return fixed.gatewayCa;
    default:
      return shard(desired, fixed, name) ?? desired.certificates.get(name)?.pem ?? desired.authorities.get(name);
  }
}

/** All files: name → text. What one change needs is `renderFile` over `Change.files`. */
export function renderFiles(desired: Desired, fixed: Fixed): Map<string, string> {
  return new Map(fileNames(desired).map((name) => [name, renderFile(desired, fixed, name) ?? '']));
}

function shard(desired: Desired, fixed: Fixed, name: string): string | undefined {
  const number = /^conf\/50-slots-(\d+)\.cfg$/.exec(name)?.[1];
  if (number === undefined) return undefined;
  const first = Number(number) * SLOTS_PER_FILE;
  const slots = desired.slots.slice(first, first + SLOTS_PER_FILE);
  return slots.length === 0 ? undefined : slotsFile(slots, fixed.cookieKey);
}
