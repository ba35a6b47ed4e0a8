import { HeadgateError } from '../../../lib/errors.ts';
import { isWildcard, validHost } from '../../../lib/domain/host-name.ts';
import {
  Algorithm,
  BackendProtocol,
  type BackendSettings,
  CheckType,
  ProxyProtocol,
  RetryOn,
} from '../../../proto/gen/headgate/v1/configured.ts';
import { authorityPem } from '../model/pem.ts';

/** Milliseconds: HAProxy's clock turns over after 24 days. */
const LONGEST = 86_400_000n;
const MOST = 1_000_000;
/** A header or cookie by a name that stands in no need of quotes in any of HAProxy's languages. */
const token = /^[A-Za-z0-9_.-]{1,128}$/;
/** What an HTTP check may ask for: a path, perhaps with a query. */
const target = /^\/[\x21-\x7e]*$/;
const grpcName = /^[A-Za-z0-9_./-]{0,256}$/;

function check(holds: boolean, field: string, problem: string): asserts holds {
  if (!holds) throw new HeadgateError('HG1002', problem, { field });
}

const isPlainHost = (text: string): boolean => validHost(text) && !isWildcard(text);
const isStatus = (value: number): boolean => value >= 100 && value <= 599;
const isOne = (type: object, value: number): boolean => value >= 0 && Object.values(type).includes(value);

/**
 * Refuses settings that HAProxy could misread or would refuse, whatever a hub or relay let through.
 * @returns them in the one form that equal settings have.
 */
export function checkSettings(settings: BackendSettings, field: string): BackendSettings {
  const { timeouts, retries, balance, healthCheck, outlier, limits, tls } = settings;
  const time = (value: bigint, name: string): void =>
    check(value >= 0n && value <= LONGEST, `${field}.${name}`, `is not between 0 and ${LONGEST} ms`);
  const count = (value: number, name: string, most = MOST): void =>
    check(Number.isInteger(value) && value >= 0 && value <= most, `${field}.${name}`, `is not between 0 and ${most}`);

  check(isOne(BackendProtocol, settings.protocol), `${field}.protocol`, 'is unknown');
  check(isOne(ProxyProtocol, settings.proxyProtocol), `${field}.proxyProtocol`, 'is unknown');
  time(settings.slowStartMs, 'slowStart');
  if (timeouts !== undefined) {
    time(timeouts.connectMs, 'timeouts.connect');
    time(timeouts.queueMs, 'timeouts.queue');
    time(timeouts.responseMs, 'timeouts.response');
    time(timeouts.tunnelMs, 'timeouts.tunnel');
  }
  if (retries !== undefined) {
    count(retries.attempts, 'retries.attempts', 100);
    for (const one of retries.on) check(one > 0 && isOne(RetryOn, one), `${field}.retries.on`, 'is unknown');
  }
  if (balance !== undefined) {
    check(isOne(Algorithm, balance.algorithm), `${field}.balance.algorithm`, 'is unknown');
    if (balance.algorithm === Algorithm.HASH && !balance.hashSource) {
      check(token.test(balance.hashHeader || balance.hashCookie), `${field}.balance.hash`, 'is no plain name');
    }
  }
  if (healthCheck !== undefined) {
    const { type, path, host, statusFrom, statusTo } = healthCheck;
    check(isOne(CheckType, type), `${field}.healthCheck.type`, 'is unknown');
    time(healthCheck.intervalMs, 'healthCheck.interval');
    time(healthCheck.timeoutMs, 'healthCheck.timeout');
    count(healthCheck.rise, 'healthCheck.rise', 1_000);
    count(healthCheck.fall, 'healthCheck.fall', 1_000);
    count(healthCheck.port, 'healthCheck.port', 65_535);
    check(path === '' || (path.length <= 4_096 && target.test(path)), `${field}.healthCheck.path`, 'is no path');
    check(host === '' || isPlainHost(host), `${field}.healthCheck.host`, 'is no host name');
    check(
      (statusFrom === 0 && statusTo === 0) || (isStatus(statusFrom) && isStatus(statusTo) && statusFrom <= statusTo),
      `${field}.healthCheck.status`,
      'is no range of HTTP statuses',
    );
    check(grpcName.test(healthCheck.grpcService), `${field}.healthCheck.grpcService`, 'is no name of a service');
  }
  if (outlier !== undefined) {
    count(outlier.consecutiveErrors, 'outlier.consecutiveErrors', 10_000);
    time(outlier.ejectForMs, 'outlier.ejectFor');
    count(outlier.maxEjectedPercent, 'outlier.maxEjectedPercent', 100);
  }
  if (limits !== undefined) {
    count(limits.connections, 'limits.connections');
    count(limits.queue, 'limits.queue');
  }
  if (tls !== undefined) {
    check(tls.hostname === '' || isPlainHost(tls.hostname), `${field}.tls.hostname`, 'is no host name');
    check(
      tls.insecure || tls.hostname !== '' || tls.ca !== '',
      `${field}.tls.hostname`,
      'is needed where certificates are verified by public CAs',
    );
  }
  return {
    ...settings,
    retries: retries === undefined ? undefined : { ...retries, on: [...new Set(retries.on)].sort((a, b) => a - b) },
    tls: tls === undefined ? undefined : { ...tls, ca: tls.insecure || tls.ca === '' ? '' : authorityPem(tls.ca) },
  };
}
