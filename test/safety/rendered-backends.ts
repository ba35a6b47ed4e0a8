// Forms of backends, their directives and their servers.

const LABEL = '[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?';
export const PLAIN_HOST = String.raw`${LABEL}(?:\.${LABEL})*`;
const NUMBER = String.raw`(?:0|[1-9]\d{0,6})`;
/** Up to a day. */
const MS = String.raw`(?:0|[1-9]\d{0,7})ms`;
const AUTHORITY = String.raw`certs/ca-[0-9a-f]{16}\.pem`;
const TOKEN = String.raw`[A-Za-z0-9_.-]{1,128}`;
const ADDRESS = String.raw`(?:\d{1,3}(?:\.\d{1,3}){3}|\[[0-9A-Fa-f:.]+\]):[1-9]\d{0,4}`;

const GATEWAY = new RegExp(
  String.raw`^${ADDRESS} weight [01] pool-max-conn -1 pool-purge-delay 5s check inter 2000ms fastinter 500ms downinter 500ms fall 2 rise 1 observe layer4 error-limit 10 on-error mark-down` +
    String.raw` ssl ca-file gateway/ca\.pem crt gateway/gateway\.pem verify required verifyhost (${PLAIN_HOST})` +
    String.raw` sni var\(txn\.http2\),concat\(\1\) alpn h2,http/1\.1 ws h1 no-ssl-reuse check-ssl check-sni \1 check-alpn http/1\.1$`,
);

const ENDPOINT = new RegExp(
  String.raw`^${ADDRESS}(?: id [1-9]\d{0,6})? weight [01]` +
    String.raw`(?: pool-max-conn -1 pool-purge-delay 5s(?: (?:sni|pool-conn-name|"\$POOL_NAME") var\(txn\.pool,0\),add\(1\),set-var\(txn\.pool\))?)?` +
    String.raw`(?<checked> check inter ${MS} fastinter ${MS} downinter ${MS} fall ${NUMBER} rise ${NUMBER}` +
    String.raw` observe layer[47] error-limit ${NUMBER} on-error mark-down(?: port [1-9]\d{0,4})?(?: check-proto h2)?)?` +
    String.raw`(?: ssl (?:verify none|ca-file (?:@system-ca|${AUTHORITY}) verify required(?: verifyhost (?<verified>${PLAIN_HOST}))?)` +
    String.raw` alpn (?:h2|http/1\.1|h2,http/1\.1)(?: sni str\((?<sent>${PLAIN_HOST})\))?` +
    String.raw`(?: check-ssl check-alpn (?:h2|http/1\.1)(?: check-sni (?<tried>${PLAIN_HOST}))?)?)?` +
    String.raw`(?: proto h2)?(?: send-proxy(?:-v2)?(?: check-send-proxy)?)?` +
    String.raw`(?: slowstart ${MS})?(?: maxconn ${NUMBER})?(?: maxqueue ${NUMBER})?$`,
);

/** @param backend whose server it is. @param words what follows the server's name. */
export function isServer(backend: string, words: string): boolean {
  if (backend.startsWith('p')) return GATEWAY.test(words);
  const groups = ENDPOINT.exec(words)?.groups;
  if (groups === undefined) return false;
  const { checked, verified, sent, tried } = groups;
  return (
    new Set([verified, sent, tried].filter((name) => name !== undefined)).size <= 1 &&
    (tried === undefined || checked !== undefined)
  );
}

/** Everything that a profile may say, in no order. */
const DIRECTIVES: readonly RegExp[] = [
  /^mode tcp$/,
  /^balance (?:leastconn|random\(2\)|source)$/,
  new RegExp(String.raw`^balance (?:'hdr\(${TOKEN}\)'|hash 'req\.cook\(${TOKEN}\)')$`),
  /^hash-type consistent$/,
  /^option (?:httpchk|tcp-check)$/,
  new RegExp(
    String.raw`^http-check send meth GET uri '/(?:[\x21-\x26\x28-\x7e]|'\\'')*' ver HTTP/1\.1 hdr host '${PLAIN_HOST}'$`,
  ),
  /^http-check expect status [1-5]\d\d-[1-5]\d\d$/,
  /^tcp-check send-binary (?:[0-9a-f]{2})+$/,
  /^tcp-check expect binary 00000000020801$/,
  new RegExp(`^timeout (?:check|connect|queue) ${MS}$`),
  /^retries \d{1,3}$/,
  /^retry-on conn-failure empty-response(?: 502 503 504)?(?: response-timeout)?$/,
  /^http-request disable-l7-retry if \{ var\(txn\.pool\) -m found \}$/,
  /^http-request set-header connection close if \{ var\(txn\.pool\) -m found \} !\{ be_name,map_str\(maps\/kept\.map\) -m found \}$/,
  /^cookie headgate-endpoint insert indirect nocache httponly dynamic$/,
  /^dynamic-cookie-key '(?:k|[0-9a-f]{32})'$/,
  /^(?:tcp-request content|http-request) set-var\(txn\.queue\) be_name,map_str_int\(maps\/queue\.map\)$/,
  /^tcp-request content reject if \{ var\(txn\.queue\) -m found \} \{ avg_queue,sub\(txn\.queue\) ge 0 \}$/,
  /^http-request return status 503 content-type text\/plain string "queue full\\n" if \{ var\(txn\.queue\) -m found \} \{ avg_queue,sub\(txn\.queue\) ge 0 \}$/,
  /^http-request set-timeout (server|tunnel) (be_name,map_str_int\(maps\/(?:response|tunnel)\.map\)) if \{ \2 -m found \}$/,
];

const SERVER_LINE = /^ {2}server e-[0-9a-f]{12} (.*)$/;

/** Lines of a file of backends that are not as they must be. @param known those that may stand there in any case. */
export function faultsOfBackends(text: string, known: ReadonlySet<string>): string[] {
  if (text !== '' && !text.endsWith('\n')) return ['no newline at the end'];
  let backend = '';
  return text.split('\n').filter((line) => {
    if (/^\S/.test(line)) {
      backend = /^backend (s\d{4}|p\d{2})$/.exec(line)?.[1] ?? '';
      return backend === '';
    }
    if (line === '' || known.has(line)) return false;
    const server = SERVER_LINE.exec(line)?.[1];
    if (server !== undefined) return !isServer(backend, server);
    return !(line.startsWith('  ') && backend.startsWith('s') && DIRECTIVES.some((form) => form.test(line.slice(2))));
  });
}
