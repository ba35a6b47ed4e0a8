import { networkInterfaces } from 'node:os';
import type { Inventory, ResourceDelta } from '../../lib/sync/index.ts';
import { isLocal } from '../ledger/types.ts';
import { Court } from './culprits.ts';
import type { DataPlaneOptions, GatewayCredentials } from './data-plane.ts';
import { Mirror } from './mirror/mirror.ts';
import type { Change } from './model/change.ts';
import type { Fixed } from './model/desired.ts';
import { cookieKey, files } from './model/names.ts';
import { authorityPem, combinedPem } from './model/pem.ts';
import { Planner } from './plan/planner.ts';
import { realListeners } from './process/addresses.ts';
import { ConfigFiles } from './process/config-files.ts';
import { isSelfMade, makeDefaultCertificate } from './process/default-certificate.ts';
import { ownListeners } from './process/own-listeners.ts';
import type { HaproxyBuild } from './process/probe.ts';
import { type HaproxyState, parseState, STATE_FILE } from './process/state-file.ts';
import { isRunning } from './process/stop.ts';
import type { DataPlaneRim } from './rim.ts';

/** Peer slots at first; they grow like the others. */
const PEER_SLOTS = 16;

/** What a data plane begins with. */
export interface Ground {
  /** What the HAProxy holds that may run in the folder. */
  readonly before: HaproxyState | undefined;
  /** All that it is to hold, and what the planner made of it. */
  readonly delta: ResourceDelta;
  readonly change: Change;
  readonly mirror: Mirror;
  readonly planner: Planner;
  readonly fixed: Fixed;
  readonly court: Court;
}

/** Makes the folder's files ready and plans what HAProxy is to hold; HAProxy is not touched. */
export async function prepare(
  options: DataPlaneOptions,
  { clock, log, signal }: DataPlaneRim,
  build: HaproxyBuild,
  desired: Inventory,
  onEvent: () => void,
): Promise<Ground> {
  const { folder, cluster, listeners, gateway, spares, external = false } = options;
  const configFiles = new ConfigFiles(folder, external);
  await configFiles.prepare();
  const before = parseState(await configFiles.read(STATE_FILE));
  const written = await configFiles.read(files.defaultCertificate);
  const fixed: Fixed = {
    cluster,
    // One that somebody else starts may have its listeners already and not answer yet.
    listeners: await realListeners(listeners, before, external || (await isRunning(folder))),
    ...gatewayPems(gateway),
    defaultCertificate:
      written !== undefined && isSelfMade(written) ? written : await makeDefaultCertificate(clock.wall()),
    cookieKey: cookieKey(cluster),
    threads: undefined,
  };
  const { http, https, gateway: crossing } = fixed.listeners;
  const makePlanner = (known: HaproxyState | undefined) =>
    new Planner({
      cluster,
      tlsPassthrough: listeners.tlsPassthrough,
      selfMadeCertificate: fixed.defaultCertificate,
      ownListener: ownListeners(
        new Map([
          ['the http listener', http],
          ['the https listener', https],
          ['the gateway listener', crossing],
          ...(options.agentListeners ?? []),
        ]),
        machineAddresses,
      ),
      assignments: {
        slots: Math.max(spares, known?.slots ?? 0),
        profiles: known?.profiles ?? [],
        peerSlots: Math.max(PEER_SLOTS, known?.peerSlots ?? 0),
        backends: known?.backends ?? new Map(),
        peers: known?.peers ?? new Map(),
      },
    });
  const planner = makePlanner(before);
  const mirror = new Mirror({
    build,
    folder,
    external,
    files: configFiles,
    planner,
    fixed,
    clock,
    log,
    signal,
    onEvent,
  });
  const delta = { upserts: [...desired.all()].filter((one) => !isLocal(one)), removals: [] };
  const change = planner.apply(delta);
  const court = new Court({
    binary: () => build.path,
    folder,
    cluster,
    fixed,
    planner,
    empty: () => makePlanner(undefined),
  });
  return { before, delta, change, mirror, planner, fixed, court };
}

function machineAddresses(): string[] {
  return Object.values(networkInterfaces()).flatMap((all) => (all ?? []).map(({ address }) => address));
}

/** @throws HG1004, HG5005 */
export function gatewayPems({ certificate, privateKey, ca }: GatewayCredentials) {
  return { gatewayCertificate: combinedPem(certificate, privateKey), gatewayCa: authorityPem(ca) };
}
