import { unreachable } from '../../../lib/errors.ts';
import { mapFile } from '../model/names.ts';
import type { Profile, RetryCause } from '../model/profile.ts';
import { logFormatLiteral, word } from './escape.ts';
import { healthRequest, SERVING } from './grpc-check.ts';
import { freshLines } from './reuse.ts';

/** Cookie that names an endpoint. */
const ENDPOINT_COOKIE = 'headgate-endpoint';

const causes: Readonly<Record<RetryCause, string>> = {
  'empty-response': 'empty-response',
  'response-timeout': 'response-timeout',
  'gateway-error': '502 503 504',
};

/**
 * A profile's directives in a backend section; none for what the defaults section says already.
 * @param cookieKey what endpoints' names in cookies are made with.
 */
export function profileLines(profile: Profile, cookieKey: string): string[] {
  const { mode, checkTimeout, connectTimeout, queueTimeout, cookie, timed, queued } = profile;
  return [
    ...(mode === 'tcp' ? ['mode tcp'] : []),
    ...balanceLines(profile.balance),
    ...checkLines(profile.check),
    ...[
      ['check', checkTimeout] as const,
      ['connect', connectTimeout] as const,
      ['queue', queueTimeout] as const,
    ].flatMap(([name, ms]) => (ms > 0 ? [`timeout ${name} ${ms}ms`] : [])),
    ...(mode === 'http' ? [...retryLines(profile.retries), ...freshLines] : []),
    ...(cookie
      ? [`cookie ${ENDPOINT_COOKIE} insert indirect nocache httponly dynamic`, `dynamic-cookie-key ${word(cookieKey)}`]
      : []),
    ...(queued ? queueLines(mode) : []),
    ...(timed ? [timeoutLine('server', 'response'), timeoutLine('tunnel', 'tunnel')] : []),
  ];
}

function timeoutLine(timeout: 'server' | 'tunnel', map: 'response' | 'tunnel'): string {
  const value = `be_name,map_str_int(${mapFile(map)})`;
  return `http-request set-timeout ${timeout} ${value} if { ${value} -m found }`;
}

/** HAProxy's maxqueue holds for requests with a cookie only: others wait in the backend's own queue, without end. */
function queueLines(mode: Profile['mode']): string[] {
  const rule = mode === 'tcp' ? 'tcp-request content' : 'http-request';
  const refuse =
    mode === 'tcp' ? 'reject' : String.raw`return status 503 content-type text/plain string "queue full\n"`;
  return [
    `${rule} set-var(txn.queue) be_name,map_str_int(${mapFile('queue')})`,
    `${rule} ${refuse} if { var(txn.queue) -m found } { avg_queue,sub(txn.queue) ge 0 }`,
  ];
}

function balanceLines(balance: Profile['balance']): string[] {
  switch (balance.by) {
    case 'round-robin':
      return [];
    case 'least-connections':
      return ['balance leastconn'];
    case 'random':
      return ['balance random(2)'];
    case 'source':
      return ['balance source', 'hash-type consistent'];
    case 'header':
      return [`balance ${word(`hdr(${balance.name})`)}`, 'hash-type consistent'];
    case 'cookie':
      return [`balance hash ${word(`req.cook(${balance.name})`)}`, 'hash-type consistent'];
    default:
      return unreachable(balance);
  }
}

function checkLines(check: Profile['check']): string[] {
  switch (check.type) {
    case 'connect':
      return [];
    case 'http':
      return [
        'option httpchk',
        `http-check send meth GET uri ${word(check.path)} ver HTTP/1.1 hdr host ${word(logFormatLiteral(check.host || 'localhost'))}`,
        `http-check expect status ${check.from}-${check.to}`,
      ];
    case 'grpc':
      return [
        'option tcp-check',
        `tcp-check send-binary ${healthRequest(check.service).toString('hex')}`,
        `tcp-check expect binary ${SERVING.toString('hex')}`,
      ];
    default:
      return unreachable(check);
  }
}

/** What has been sent is sent again only where it did not have to be fresh. */
function retryLines(retries: Profile['retries']): string[] {
  const on = new Set<RetryCause>(['empty-response', ...(retries?.on ?? [])]);
  return [
    ...(retries === undefined ? [] : [`retries ${retries.attempts}`]),
    `retry-on conn-failure ${[...on].map((one) => causes[one]).join(' ')}`,
  ];
}
