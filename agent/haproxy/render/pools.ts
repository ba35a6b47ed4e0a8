import { HeadgateError } from '../../../lib/errors.ts';
import type { CertificateEntry, Link, PeerSlot, Server, Slot } from '../model/desired.ts';
import { CLIENT_HEADER, files, PROBE_PATH, ROUTE_HEADER } from '../model/names.ts';
import { chooseProtocol } from './hop.ts';
import { indent } from './indent.ts';
import { ROUTE_ID } from './rules/splitting.ts';
import { profileLines } from './profile.ts';
import { POOL_NAME_VARIABLE } from './reuse.ts';
import { serverLine } from './server-line.ts';

function servers(of: ReadonlyMap<string, Server>, link: Link): string[] {
  return [...of.values()]
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .map((server) => `  server ${server.name} ${serverLine(server, link, POOL_NAME_VARIABLE)}`);
}

export function slotsFile(slots: readonly Slot[], cookieKey: string): string {
  return text(
    slots.flatMap(({ name, profile, settings, servers: held }) => [
      `backend ${name}`,
      ...indent(profileLines(profile, cookieKey)),
      ...servers(held, { kind: 'endpoint', settings }),
    ]),
  );
}

export function peersFile(peers: readonly PeerSlot[]): string {
  return text(
    peers.flatMap((peer) => [
      `backend ${peer.name}`,
      ...indent([
        'http-reuse always',
        chooseProtocol,
        // A gateway that reloads closes HTTP/2 connections that a request may just be on its way on.
        'retries 3',
        'retry-on conn-failure empty-response',
        'http-request disable-l7-retry if !{ method GET HEAD OPTIONS TRACE PUT DELETE }',
        // How long an answer may take, and a tunnel be silent, is the other gateway's to say.
        'timeout server 10m',
        'timeout tunnel 24h',
        // A node that vanished ends its tunnels all the same.
        'option srvtcpka',
        'srvtcpka-idle 60s',
        'srvtcpka-intvl 10s',
        'srvtcpka-cnt 3',
        'option httpchk',
        `http-check send meth GET uri ${PROBE_PATH} ver HTTP/1.1 hdr host gateway.headgate`,
        'http-check expect status 200',
        `http-request set-header ${ROUTE_HEADER} %[${ROUTE_ID}]`,
        `http-request set-header ${CLIENT_HEADER} %[src]`,
      ]),
      ...servers(peer.servers, { kind: 'gateway', serverName: knownName(peer) }),
    ]),
  );
}

function knownName({ name, serverName, servers }: PeerSlot): string {
  if (serverName === undefined && servers.size > 0) throw new HeadgateError('HG9001', `${name} has nameless gateways`);
  return serverName ?? '';
}

/** A filter that no client asks for: without one the names in a certificate would be served with it. */
const NO_NAME = 'default.headgate.invalid';

/** The first line is what a client gets whose SNI names nothing here. */
export function crtListFile(certificates: Iterable<CertificateEntry>): string {
  const lines = [...certificates].map(crtListLine).sort();
  return text([`${files.defaultCertificate} ${NO_NAME}`, ...lines]);
}

/** Hosts are the filter: nothing else that the certificate names is served with it. */
export function crtListLine({ file, hosts }: CertificateEntry): string {
  return [file, ...hosts].join(' ');
}

function text(lines: readonly string[]): string {
  return lines.map((line) => `${line}\n`).join('');
}
