import { unreachable } from '../../../lib/errors.ts';
import type { ResourceKey } from '../../../lib/sync/index.ts';
import type { Op, OwnedOp } from '../model/change.ts';
import type { CertificateEntry, Link, Server } from '../model/desired.ts';
import { files, mapFile, type MapName } from '../model/names.ts';
import { cliArgument, mapLine } from './escape.ts';
import { crtListLine } from './pools.ts';
import type { PoolName } from './reuse.ts';
import { hasCheck, serverLine, weight } from './server-line.ts';

/** One line for the runtime API, with its payload if it has one. */
export interface Command {
  /** Without the final newline; a payload command ends with its payload's last line (send a blank line after it). */
  readonly text: string;
  readonly payload: boolean;
  /** What a reply to a success looks like, trimmed; the same in 2.6 and 3.x. */
  readonly accepts: RegExp;
}

export interface OwnedCommand {
  readonly command: Command;
  readonly resource: ResourceKey | undefined;
}

/** Bytes of payload in one command: with its line it must fit tune.bufsize (16,384). */
const MAX_PAYLOAD = 14_000;

const SILENT = /^$/;

/** @param payload lines that end with a newline, none of them blank. */
function command(line: string, accepts: RegExp = SILENT, payload?: string): Command {
  return payload === undefined
    ? { text: line, payload: false, accepts }
    : { text: `${line} <<\n${payload.slice(0, -1)}`, payload: true, accepts };
}

/** Adds entries that the map does not hold, in as few commands as fit. `version` as `prepareMap` gave it. */
export function addMapEntries(map: MapName, entries: Iterable<readonly [string, string]>, version?: number): Command[] {
  const head = version === undefined ? `add map ${mapFile(map)}` : `add map @${version} ${mapFile(map)}`;
  const commands: Command[] = [];
  let payload = '';
  for (const [key, value] of entries) {
    const line = `${mapLine(key, value)}\n`;
    if (payload !== '' && Buffer.byteLength(payload) + Buffer.byteLength(line) > MAX_PAYLOAD) {
      commands.push(command(head, SILENT, payload));
      payload = '';
    }
    payload += line;
  }
  if (payload !== '') commands.push(command(head, SILENT, payload));
  return commands;
}

export function setMapEntry(map: MapName, key: string, value: string): Command {
  return command(`set map ${mapFile(map)} ${cliArgument(key)} ${cliArgument(value)}`);
}

/** A key that is not there counts as deleted. */
function deleteMapEntry(map: MapName, key: string): Command {
  return command(`del map ${mapFile(map)} ${cliArgument(key)}`, /^(?:Key not found\.)?$/);
}

/**
 * Replacing a whole map: `prepareMap`, `addMapEntries` with the version it answered, `commitMap`. On 2.6 setting
 * or deleting one key costs as much as the map is long, so many changes to a long map are cheaper this way.
 */
export function prepareMap(map: MapName): Command {
  return command(`prepare map ${mapFile(map)}`, /^New version created: \d+$/);
}

export function commitMap(map: MapName, version: number): Command {
  return command(`commit map @${version} ${mapFile(map)}`);
}

/** @returns the version in `prepareMap`'s reply. */
export function preparedVersion(reply: string): number | undefined {
  const version = /^New version created: (\d+)/.exec(reply)?.[1];
  return version === undefined ? undefined : Number(version);
}

/** A dynamic server starts in maintenance, without health checks. */
function addServer(backend: string, server: Server, link: Link, poolName: PoolName): Command[] {
  const target = `${backend}/${server.name}`;
  const cookie = link.kind === 'endpoint' && link.settings.endpointCookie && !link.settings.passthrough;
  return [
    command(`add server ${target} ${serverLine(server, link, poolName)}`, /^New server registered\.$/),
    // HAProxy 2.6 gives a new server no cookie of its own accord; nothing changes for those that have theirs.
    ...(cookie ? [command(`enable dynamic-cookie backend ${backend}`)] : []),
    ...(hasCheck(link) ? [command(`enable health ${target}`)] : []),
    command(`enable server ${target}`),
  ];
}

export function weighServer(backend: string, server: Server): Command {
  return command(`set server ${backend}/${server.name} weight ${weight(server)}`);
}

/** maint: nothing new, what runs goes on; ready: back from maint. */
export function setServerState(backend: string, name: string, state: 'ready' | 'maint' | 'drain'): Command {
  return command(`set server ${backend}/${name} state ${state}`);
}

/** Back, whatever took it out. */
export function reviveServer(backend: string, name: string): Command {
  return command(`set server ${backend}/${name} health up`);
}

/** Only in maintenance and without streams; HAProxy refuses while there are some. */
export function deleteServer(backend: string, name: string): Command {
  return command(`del server ${backend}/${name}`, /^Server deleted\.$/);
}

export function shutdownSessions(backend: string, name: string): Command {
  return command(`shutdown sessions server ${backend}/${name}`);
}

/** New content for a certificate file that HAProxy has loaded. */
export function setCertificate(file: string, pem: string): Command[] {
  return [
    command(`set ssl cert ${cliArgument(file)}`, /^Transaction (?:created|updated) for certificate/, pem),
    command(`commit ssl cert ${cliArgument(file)}`, /Success!$/),
  ];
}

function addCertificate(certificate: CertificateEntry): Command[] {
  return [
    command(`new ssl cert ${certificate.file}`, /^New empty certificate store/),
    ...setCertificate(certificate.file, certificate.pem),
    command(`add ssl crt-list ${files.crtList}`, /Success!$/, `${crtListLine(certificate)}\n`),
  ];
}

function removeCertificate({ file }: CertificateEntry): Command[] {
  return [
    command(`del ssl crt-list ${files.crtList} ${file}`, /^Entry .* deleted/),
    command(`del ssl cert ${file}`, /^Certificate .* deleted!$/),
  ];
}

function addAuthority(file: string, pem: string): Command[] {
  return [
    command(`new ssl ca-file ${file}`, /^New CA file created/),
    command(`set ssl ca-file ${file}`, /^transaction (?:created|updated) for CA/i, pem),
    command(`commit ssl ca-file ${file}`, /Success!$/),
  ];
}

/** New content for the CA that gateways are verified by, in both directions. */
export function setGatewayCa(pem: string): Command[] {
  return [
    command(`set ssl ca-file ${files.gatewayCa}`, /^transaction (?:created|updated) for CA/i, pem),
    command(`commit ssl ca-file ${files.gatewayCa}`, /Success!$/),
  ];
}

/**
 * The commands of one op. A removed server is put into maintenance only: whoever runs the commands deletes it
 * (`deleteServer`) when its streams have ended, and sets it ready again where it is added back before that.
 */
export function commandsForOp(op: Op, poolName: PoolName): Command[] {
  switch (op.kind) {
    case 'map-set':
      return op.isNew ? addMapEntries(op.map, [[op.key, op.value]]) : [setMapEntry(op.map, op.key, op.value)];
    case 'map-delete':
      return [deleteMapEntry(op.map, op.key)];
    case 'server-add':
      return addServer(op.backend, op.server, op.link, poolName);
    case 'server-state':
      return [weighServer(op.backend, op.server)];
    case 'server-remove':
      return [setServerState(op.backend, op.server.name, 'maint')];
    case 'certificate-add':
      return addCertificate(op.certificate);
    case 'certificate-update':
      return setCertificate(op.certificate.file, op.certificate.pem);
    case 'certificate-remove':
      return removeCertificate(op.certificate);
    case 'authority-add':
      return addAuthority(op.file, op.pem);
    case 'authority-remove':
      return [command(`del ssl ca-file ${op.file}`, /^CA file .* deleted!$/)];
    case 'assigned':
    case 'freed':
      return [];
    default:
      return unreachable(op);
  }
}

/** The commands of a change, in order. New entries of one map and one resource share commands. */
export function commandsFor(ops: readonly OwnedOp[], poolName: PoolName): OwnedCommand[] {
  const commands: OwnedCommand[] = [];
  for (let i = 0; i < ops.length; i++) {
    const { op, resource } = ops[i] as OwnedOp;
    if (op.kind !== 'map-set' || !op.isNew) {
      for (const command of commandsForOp(op, poolName)) commands.push({ command, resource });
      continue;
    }
    const entries: [string, string][] = [[op.key, op.value]];
    for (let next = ops[i + 1]; next !== undefined && joins(next, op, resource); next = ops[i + 1]) {
      if (next.op.kind === 'map-set') entries.push([next.op.key, next.op.value]);
      i++;
    }
    for (const command of addMapEntries(op.map, entries)) commands.push({ command, resource });
  }
  return commands;
}

function joins(next: OwnedOp, op: Op & { kind: 'map-set' }, resource: ResourceKey | undefined): boolean {
  return next.op.kind === 'map-set' && next.op.isNew && next.op.map === op.map && next.resource === resource;
}
