import {
  Algorithm,
  BackendProtocol,
  BackendSettings,
  CheckType,
  ProxyProtocol,
} from '../../../proto/gen/headgate/v1/configured.ts';
import { hostPort } from '../model/address.ts';
import type { Link, Server } from '../model/desired.ts';
import { authorityFile } from '../model/names.ts';
import { hopTls } from './hop.ts';
import { endpointPool, POOL, type POOL_NAME_VARIABLE, type PoolName } from './reuse.ts';

/** Milliseconds between checks; of a server that failed one, or that a failed connection took out. */
const INTERVAL = 2_000;
const FAST_INTERVAL = 500;
/** A server without checks that outliers may take out is only ever checked to bring it back. */
const SELDOM = 3_600_000;

/**
 * Address and full option list of a server, the same words in a file and in `add server`, which inherits
 * nothing. Draining is weight 0, which both know. Every word is ours, a number, or a host name that was checked.
 */
export function serverLine(server: Server, link: Link, poolName: PoolName | typeof POOL_NAME_VARIABLE): string {
  const options =
    link.kind === 'gateway'
      ? gatewayOptions(link.serverName)
      : [...endpointPool(link.settings, poolName), ...endpointOptions(link.settings)];
  const id = link.kind === 'endpoint' && isHashed(link.settings) && server.id !== undefined ? [`id ${server.id}`] : [];
  return [hostPort(server), ...id, `weight ${weight(server)}`, ...options].join(' ');
}

/** Random draws from the same ring. */
function isHashed({ balance }: BackendSettings): boolean {
  return balance?.algorithm === Algorithm.HASH || balance?.algorithm === Algorithm.RANDOM;
}

export function weight({ state }: Server): number {
  return state === 'ready' ? 1 : 0;
}

/** Whether anything would bring the server back once it is down. */
export function hasCheck(link: Link): boolean {
  return link.kind === 'gateway' || checks(link.settings).length > 0;
}

export function usesTls(link: Link): boolean {
  return link.kind === 'gateway' || (link.settings.tls !== undefined && !link.settings.passthrough);
}

/** A gateway that reloads may break a few handshakes. It is often the only one, and down it would answer nobody. */
const GATEWAY_SETTINGS = BackendSettings.create({ outlier: { consecutiveErrors: 10 } });

function gatewayOptions(name: string): string[] {
  return [POOL, ...checks(GATEWAY_SETTINGS), ...hopTls(name)];
}

function endpointOptions(settings: BackendSettings): string[] {
  const { limits, slowStartMs, passthrough, protocol } = settings;
  const checked = checks(settings);
  return [
    ...checked,
    ...(passthrough ? [] : [...tls(settings, checked.length > 0), ...(isHttp2(protocol) ? ['proto h2'] : [])]),
    ...proxy(settings, checked.length > 0),
    ...(slowStartMs > 0n ? [`slowstart ${slowStartMs}ms`] : []),
    ...((limits?.connections ?? 0) > 0 ? [`maxconn ${limits?.connections ?? 0}`] : []),
    ...((limits?.queue ?? 0) > 0 ? [`maxqueue ${limits?.queue ?? 0}`] : []),
  ];
}

function isHttp2(protocol: BackendProtocol): boolean {
  return protocol === BackendProtocol.HTTP2;
}

/**
 * Kubernetes readiness says which endpoints there are; checks are for what it has not seen yet. One failed connection
 * marks a server down, so the next request finds it gone; half a second later it is tried again.
 */
function checks({ healthCheck, outlier, passthrough, protocol }: BackendSettings): string[] {
  const none = healthCheck?.type === CheckType.NONE;
  if (none && outlier === undefined) return [];
  const interval = none ? SELDOM : Number(healthCheck?.intervalMs ?? 0n) || INTERVAL;
  const ejected = Number(outlier?.ejectForMs ?? 0n);
  const fast = ejected || Math.min(FAST_INTERVAL, interval);
  // The first check after an ejection may be due at once: a second one makes the time whole.
  const rise = ejected > 0 ? 2 : healthCheck?.rise || 1;
  const answers = outlier?.serverErrors === true && !passthrough;
  return [
    `check inter ${interval}ms fastinter ${fast}ms downinter ${fast}ms fall ${healthCheck?.fall || 2} rise ${rise}`,
    `observe ${answers ? 'layer7' : 'layer4'} error-limit ${outlier?.consecutiveErrors || 1} on-error mark-down`,
    ...((healthCheck?.port ?? 0) > 0 ? [`port ${healthCheck?.port ?? 0}`] : []),
    ...(healthCheck?.type === CheckType.HTTP && !passthrough && isHttp2(protocol) ? ['check-proto h2'] : []),
  ];
}

function tls({ tls: wanted, protocol, healthCheck }: BackendSettings, checked: boolean): string[] {
  if (wanted === undefined) return [];
  const { hostname, ca, insecure } = wanted;
  const verify = insecure
    ? 'verify none'
    : `ca-file ${ca === '' ? '@system-ca' : authorityFile(ca)} verify required` +
      (hostname === '' ? '' : ` verifyhost ${hostname}`);
  const alpn =
    protocol === BackendProtocol.HTTP1 ? 'http/1.1' : protocol === BackendProtocol.HTTP2 ? 'h2' : 'h2,http/1.1';
  const spoken = healthCheck?.type === CheckType.GRPC || protocol === BackendProtocol.HTTP2 ? 'h2' : 'http/1.1';
  return [
    `ssl ${verify} alpn ${alpn}`,
    ...(hostname === '' ? [] : [`sni str(${hostname})`]),
    ...(checked ? [`check-ssl check-alpn ${spoken}`, ...(hostname === '' ? [] : [`check-sni ${hostname}`])] : []),
  ];
}

function proxy({ proxyProtocol }: BackendSettings, checked: boolean): string[] {
  if (proxyProtocol !== ProxyProtocol.V1 && proxyProtocol !== ProxyProtocol.V2) return [];
  const words = proxyProtocol === ProxyProtocol.V1 ? 'send-proxy' : 'send-proxy-v2';
  return checked ? [words, 'check-send-proxy'] : [words];
}
