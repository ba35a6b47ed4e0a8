/** Bytes of one connection, as Latin-1 text. */
export interface WireCase {
  readonly name: string;
  readonly bytes: (host: string) => string;
  /** Whether a reader by RFC 9112 takes what is hidden as a request of its own; then it must be treated as one. */
  readonly second?: boolean;
}

export const HIDDEN = '/hidden';

const end = (host: string): string => `GET /end HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`;
const hidden = (host: string): string => `GET ${HIDDEN} HTTP/1.1\r\nHost: ${host}\r\nX-Pad: `;
/** Ends the last header of what is hidden. */
const closing = '\r\n\r\n';

function post(host: string, fields: string, body: string): string {
  return `POST /a HTTP/1.1\r\nHost: ${host}\r\n${fields}\r\n\r\n${body}`;
}

/** A body that a reader of chunks takes as empty, with a request behind it; its length covers both. */
function emptyChunks(host: string): string {
  return `0\r\n\r\n${hidden(host)}x${closing}`;
}

/** Transfer-Encoding in a way that some readers overlook, with a length that covers what is hidden. */
function coding(name: string, field: string): WireCase {
  return {
    name: `coding ${name}`,
    bytes: (host) =>
      post(host, `Content-Length: ${emptyChunks(host).length}\r\n${field}`, emptyChunks(host)) + end(host),
    second: true,
  };
}

/** Chunks after which a request is hidden that a careless reader would see earlier than the others. */
function chunks(name: string, body: (hidden: string) => string): WireCase {
  return {
    name: `chunk ${name}`,
    bytes: (host) => post(host, 'Transfer-Encoding: chunked', body(`${hidden(host)}x${closing}`)) + end(host),
  };
}

/** Lengths that readers may understand differently; what follows five bytes is hidden. */
function length(name: string, fields: string): WireCase {
  return {
    name: `length ${name}`,
    bytes: (host) => post(host, fields, `12345${hidden(host)}x${closing}`) + end(host),
    second: true,
  };
}

function line(name: string, requestLine: (host: string) => string): WireCase {
  return { name: `line ${name}`, bytes: (host) => `${requestLine(host)}\r\nHost: ${host}\r\n\r\n${end(host)}` };
}

function field(name: string, text: (host: string) => string): WireCase {
  return {
    name: `field ${name}`,
    bytes: (host) => `GET /a HTTP/1.1\r\n${text(host)}\r\n\r\n${end(host)}`,
  };
}

export const http1Cases: readonly WireCase[] = [
  coding('beside a length', 'Transfer-Encoding: chunked'),
  coding('in capitals', 'TRANSFER-ENCODING: CHUNKED'),
  ...['xchunked', 'chunked, identity', 'identity', 'chunked, chunked', 'chunk', '"chunked"', 'gzip, chunked'].map(
    (value) => coding(value, `Transfer-Encoding: ${value}`),
  ),
  ...['chunked;q=1', 'chunked,', ',chunked', '\tchunked', 'chunked\t', '\vchunked', 'chunked\v', '\0chunked'].map(
    (value) => coding(JSON.stringify(value), `Transfer-Encoding: ${value}`),
  ),
  ...['chunked\0', 'chunked\x7f', '\xa0chunked', 'chun\\ked', '', ' ', 'cow', 'chunked cow'].map((value) =>
    coding(JSON.stringify(value), `Transfer-Encoding: ${value}`),
  ),
  coding('twice', 'Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked'),
  coding('twice, the second unknown', 'Transfer-Encoding: chunked\r\nTransfer-Encoding: cow'),
  coding('twice, the first unknown', 'Transfer-Encoding: cow\r\nTransfer-Encoding: chunked'),
  coding('before the length', 'Transfer-Encoding: chunked\r\nX: y'),
  coding('with a blank before the colon', 'Transfer-Encoding : chunked'),
  coding('with a tab before the colon', 'Transfer-Encoding\t: chunked'),
  coding('with a control character before the colon', 'Transfer-Encoding\v: chunked'),
  coding('with underscore', 'Transfer_Encoding: chunked'),
  coding('folded', 'Transfer-Encoding:\r\n chunked'),
  coding('in a fold', 'X: a\r\n Transfer-Encoding: chunked'),
  coding('after a bare LF', 'X: a\nTransfer-Encoding: chunked'),
  coding('after a bare CR', 'X: a\rTransfer-Encoding: chunked'),
  coding('after LF CR', 'X: a\n\rTransfer-Encoding: chunked'),
  coding('after a NUL', 'X: a\0Transfer-Encoding: chunked'),
  coding('after a blank', ' Transfer-Encoding: chunked'),
  {
    name: 'coding in HTTP/1.0',
    bytes: (host) =>
      `POST /a HTTP/1.0\r\nHost: ${host}\r\nConnection: keep-alive\r\nContent-Length: ${emptyChunks(host).length}\r\nTransfer-Encoding: chunked\r\n\r\n${emptyChunks(host)}${end(host)}`,
    second: true,
  },
  {
    name: 'length shorter than the chunks',
    bytes: (host) => {
      const inside = `${hidden(host)}x${closing}`;
      const body = `${inside.length.toString(16)}\r\n${inside}\r\n0\r\n\r\n`;
      return post(host, 'Content-Length: 4\r\nTransfer-Encoding: chunked', body) + end(host);
    },
  },
  ...[
    '5\r\nContent-Length: 6',
    '5\r\nContent-Length: 5',
    '5, 5',
    '5, 6',
    '6, 5',
    '+5',
    '-5',
    '0x5',
    '5 5',
    '5;',
    '5.0',
    '05',
    '',
    '5\t',
    '5\v',
    '5\0',
    '18446744073709551621',
    '5\r\n 0',
  ].map((value) => length(JSON.stringify(value), `Content-Length: ${value}`)),
  length('with a blank before the colon', 'Content-Length : 5'),
  length('with underscore', 'Content_Length: 5'),
  length('none', 'X: y'),
  {
    name: 'length on GET',
    bytes: (host) => {
      const inside = `${hidden(host)}x${closing}`;
      return `GET /a HTTP/1.1\r\nHost: ${host}\r\nContent-Length: ${inside.length}\r\n\r\n${inside}${end(host)}`;
    },
  },
  chunks(
    'with an extension',
    (inside) => `5;a=b\r\n12345\r\n0;c\r\n\r\n`.replace('12345', '12345') + inside.slice(0, 0),
  ),
  chunks('with a request in a quoted extension', (inside) => `5;a="${inside}"\r\n12345\r\n0\r\n\r\n`),
  chunks('with a bare LF in an extension', (inside) => `5;\n${inside}\r\n12345\r\n0\r\n\r\n`),
  chunks('with a bare CR in an extension', (inside) => `5;\r${inside}\r\n12345\r\n0\r\n\r\n`),
  chunks('size with a blank before', (inside) => ` 5\r\n12345\r\n0\r\n\r\n${inside.slice(0, 0)}`),
  chunks('size with a blank after', (inside) => `5 \r\n12345\r\n0\r\n\r\n${inside.slice(0, 0)}`),
  chunks('size ended by a bare LF', (inside) => `5\n12345\r\n0\r\n\r\n${inside.slice(0, 0)}`),
  chunks('data ended by a bare LF', (inside) => `5\r\n12345\n0\r\n\r\n${inside.slice(0, 0)}`),
  chunks('data without an end', (inside) => `5\r\n123450\r\n\r\n${inside.slice(0, 0)}`),
  chunks('data longer than its size', (inside) => `5\r\n12345${inside}\r\n0\r\n\r\n`),
  ...['0x5', '5g', '', '-5', '+5', '5,', '1000000000000000005', 'ffffffffffffffff'].map((size) =>
    chunks(`size ${JSON.stringify(size)}`, (inside) => `${size}\r\n12345\r\n0\r\n\r\n${inside.slice(0, 0)}`),
  ),
  chunks('size with many zeros', () => `${'0'.repeat(40)}5\r\n12345\r\n0\r\n\r\n`),
  chunks('with a trailer', () => `5\r\n12345\r\n0\r\nX-Forwarded-For: 6.6.6.6\r\nContent-Length: 9\r\n\r\n`),
  chunks('with a request as trailer', (inside) => `5\r\n12345\r\n0\r\n${inside}`),
  chunks('ended by a bare LF', () => `5\r\n12345\r\n0\n\n`),
  line('two blanks', () => 'GET  /a HTTP/1.1'),
  line('tabs', () => 'GET\t/a\tHTTP/1.1'),
  line('a blank in the path', () => 'GET /a b HTTP/1.1'),
  line('words after the version', () => 'GET /a HTTP/1.1 x'),
  line('a request in the path', (host) => `GET /a HTTP/1.1\rGET ${HIDDEN} HTTP/1.1\rHost: ${host}`),
  line('an old version', () => 'GET /a HTTP/1.0'),
  line('version 0.9', () => 'GET /a'),
  line('version 2.0', () => 'GET /a HTTP/2.0'),
  line('version 1.2', () => 'GET /a HTTP/1.2'),
  line('version with letters', () => 'GET /a HTTP/1.x'),
  line('a method in lower case', () => 'get /a HTTP/1.1'),
  line('a NUL in the method', () => 'GE\0T /a HTTP/1.1'),
  line('a NUL in the path', () => 'GET /a\0b HTTP/1.1'),
  line('a fragment', () => 'GET /a#b HTTP/1.1'),
  line('DEL in the path', () => 'GET /a\x7f HTTP/1.1'),
  line('Latin-1 in the path', () => 'GET /\xe9 HTTP/1.1'),
  line('an empty path', () => 'GET  HTTP/1.1'),
  line('a relative path', () => 'GET a HTTP/1.1'),
  line('an at sign first', () => 'GET @evil.example/a HTTP/1.1'),
  line('a scheme without authority', () => 'GET http:/a HTTP/1.1'),
  line('another authority', () => 'GET http://evil.example/a HTTP/1.1'),
  line('a user in the authority', (host) => `GET http://evil@${host}/a HTTP/1.1`),
  line('absolute form', (host) => `GET http://${host}/a HTTP/1.1`),
  line('CONNECT', (host) => `CONNECT ${host}:80 HTTP/1.1`),
  line('CONNECT with a path', () => 'CONNECT /a HTTP/1.1'),
  line('asterisk with GET', () => 'GET * HTTP/1.1'),
  line('asterisk with OPTIONS', () => 'OPTIONS * HTTP/1.1'),
  { name: 'line after empty lines', bytes: (host) => `\r\n\r\n${end(host)}` },
  { name: 'line after a bare LF', bytes: (host) => `\n${end(host)}` },
  field('two Hosts', (host) => `Host: ${host}\r\nHost: evil.example`),
  field('two equal Hosts', (host) => `Host: ${host}\r\nHost: ${host}`),
  field('a Host with a blank inside', (host) => `Host: ${host} evil.example`),
  field('a Host with a comma', (host) => `Host: ${host},evil.example`),
  field('a folded Host', (host) => `Host: ${host}\r\n evil.example`),
  field('no Host', () => 'X: y'),
  field('a line without a colon', (host) => `Host: ${host}\r\nGET ${HIDDEN} HTTP/1.1`),
  field('an empty name', (host) => `Host: ${host}\r\n: x`),
  field('a name with brackets', (host) => `Host: ${host}\r\nX(y): x`),
  field('a NUL in a value', (host) => `Host: ${host}\r\nX: a\0b`),
  field('a bare CR in a value', (host) => `Host: ${host}\r\nX: a\rX-Forwarded-For: 6.6.6.6`),
  field('a bare LF in a value', (host) => `Host: ${host}\r\nX: a\nX-Y: 6.6.6.6`),
  {
    ...field('a request after bare LFs', (host) => `Host: ${host}\r\nX: a\n\nGET ${HIDDEN} HTTP/1.1\nHost: ${host}\n`),
    second: true,
  },
  field('a name of 10 KB', (host) => `Host: ${host}\r\n${'x'.repeat(10_240)}: y`),
  field('a value of 10 KB', (host) => `Host: ${host}\r\nX: ${'y'.repeat(10_240)}`),
  field('200 fields', (host) => `Host: ${host}${'\r\nX: y'.repeat(200)}`),
  {
    name: 'an upgrade to HTTP/2',
    bytes: (host) =>
      `GET /a HTTP/1.1\r\nHost: ${host}\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n\r\n`,
  },
  {
    name: 'an upgrade to HTTP/2 or WebSocket',
    bytes: (host) => `GET /a HTTP/1.1\r\nHost: ${host}\r\nConnection: Upgrade\r\nUpgrade: websocket, H2C\r\n\r\n`,
  },
  {
    name: 'a body behind Expect',
    bytes: (host) => post(host, 'Expect: 100-continue\r\nContent-Length: 5', '12345') + end(host),
  },
  {
    name: 'a request behind HEAD with a length',
    bytes: (host) => `HEAD /a HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 5\r\n\r\n12345${end(host)}`,
  },
];
