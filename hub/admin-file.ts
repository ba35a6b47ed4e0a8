import { X509Certificate } from 'node:crypto';
import { join } from 'node:path';
import { parse, stringify } from 'yaml';
import type { Clock } from '../lib/clock.ts';
import { type Address, formatAddress, parseAddress } from '../lib/config/address.ts';
import { type ClientConfig, clientConfigSchema } from '../lib/config/client-config.ts';
import { readPrivateFile, writePrivateFile } from '../lib/identity/private-file.ts';
import type { HubAuthority } from './certificates/hub-authority.ts';

/** Milliseconds before its end at which the certificate in the file is replaced. */
const RENEW_BEFORE = 30 * 86_400_000;

/**
 * Keeps `admin.yaml` in the data folder (0600): how to reach this hub, and a client certificate with the role
 * admin. Written where it is missing, made for another fleet, about to expire or about another address;
 * what is still good in it stays.
 *
 * @param http HOST:PORT that the API really serves on.
 * @throws HeadgateError HG2003
 */
export async function keepAdminFile(
  folder: string,
  http: string,
  authority: HubAuthority,
  clock: Clock,
): Promise<void> {
  const path = join(folder, 'admin.yaml');
  const server = `https://${formatAddress(reachable(parseAddress(http)))}`;
  const found = await readOwn(path);
  const [context] = found?.contexts ?? [];
  const good =
    context?.certificate !== undefined &&
    context.ca === authority.controlCa &&
    new X509Certificate(context.certificate).validToDate.getTime() - RENEW_BEFORE > clock.wall();
  if (good && context.server === server) return;
  const credentials = good
    ? { ca: context.ca, certificate: context.certificate, key: context.key }
    : await issue(authority);
  const name = authority.fleetName;
  const config: ClientConfig = { current: name, contexts: [{ name, server, ...credentials }] };
  await writePrivateFile(path, stringify(config, { lineWidth: 0 }));
}

async function issue(authority: HubAuthority) {
  const { certificate, privateKey, ca } = await authority.operatorCredentials('admin');
  return { ca, certificate, key: privateKey };
}

/** What an earlier start wrote; undefined where it cannot be read as that. */
async function readOwn(path: string): Promise<ClientConfig | undefined> {
  const text = await readPrivateFile(path);
  if (text === undefined) return undefined;
  try {
    return clientConfigSchema.parse(parse(text));
  } catch {
    return undefined;
  }
}

/** A hub that listens everywhere is reached on this machine by loopback. */
function reachable(address: Address): Address {
  if (address.host === '0.0.0.0') return { ...address, host: '127.0.0.1' };
  return address.host === '::' ? { ...address, host: '::1' } : address;
}
