import { expect, test } from 'vitest';
import { commandsIn, faultsOfCommands, faultsOfFiles } from './rendered.ts';

// A check that cannot fail checks nothing.

const plain = new Map([
  ['conf/00-base.cfg', 'global\n'],
  ['conf/50-slots-0000.cfg', 'backend s0000\n'],
  ['maps/path.map', ''],
  ['certs/crt-list.txt', 'certs/default.pem default.headgate.invalid\n'],
]);

const CHECK =
  'check inter 2000ms fastinter 500ms downinter 500ms fall 2 rise 1 observe layer4 error-limit 1 on-error mark-down';
const server = `  server e-0123456789ab 127.0.0.1:80 weight 1 ${CHECK}\n`;
const verified = (name: string) =>
  `  server e-0123456789ab [::1]:80 id 7 weight 0 ${CHECK} ssl ca-file certs/ca-0123456789abcdef.pem verify required ` +
  `verifyhost a.example alpn h2 sni str(${name}) check-ssl check-alpn h2 check-sni ${name} slowstart 5ms maxconn 1\n`;
const special = (line: string): [string, string] => ['conf/50-slots-0001.cfg', `backend s0001\n  ${line}\n`];
const id = '0123456789ab!';
const route = 's0001|0123456789abcdef||p00';

test.each<[string, string]>([
  ['conf/00-base.cfg', 'global\n  log stdout\n'],
  ['conf/50-slots-0000.cfg', 'backend s0000\n  http-request return\n'],
  ['conf/50-slots-0000.cfg', `backend s0000\n${server}backend s0001\n`],
  ['conf/50-slots-0000.cfg', `backend s0000\n${server.replace('127.0.0.1:80', 'evil:80')}`],
  ['conf/50-slots-0000.cfg', `backend s0000\n${verified('b.example')}`],
  ['conf/50-slots-0000.cfg', `backend s0000\n${server.replace(CHECK, `${CHECK} track x/y`)}`],
  ['conf/50-slots-0000.cfg', 'backend s0000'],
  ['conf/50-slots-0001.cfg', 'backend s0002\n'],
  ['conf/60-peers.cfg', 'backend p00\n  mode tcp\n'],
  special("balance 'hdr(a) b'"),
  special("http-check send meth GET uri '/' /etc' ver HTTP/1.1 hdr host 'a.example'"),
  special("http-check send meth GET uri '/' ver HTTP/1.1 hdr host '%[env(HOME)]'"),
  special('http-request set-timeout server be_name,map_str_int(maps/response.map) if { src -m found }'),
  ['maps/response.map', 's0001 1;x\n'],
  ['certs/ca-0123456789abcdef.pem', '/etc/passwd\n'],
  ['conf/90-evil.cfg', 'global\n'],
  ['maps/path.map', `${id}/a b# ${route}\n`],
  ['maps/path.map', `${id}/a\n${id}/b# ${route}\n`],
  ['maps/path.map', `${id}/a# s0000\n`],
  ['maps/path.map', `${id}/a# nothing|0123456789abcdef|\n`],
  ['maps/path.map', `shop.example!/a# ${route}\n`],
  ['certs/crt-list.txt', 'certs/default.pem default.headgate.invalid\n/etc/passwd\n'],
])('sees what is wrong with %s of %j', (name, text) => {
  expect(faultsOfFiles(new Map([...plain, [name, text]]), plain)).not.toEqual([]);
});

test('passes what is as it must be', () => {
  const files = new Map([
    ...plain,
    ['conf/50-slots-0000.cfg', `backend s0000\n${server}${verified('a.example')}`],
    special(String.raw`http-check send meth GET uri '/a'\''%[x]' ver HTTP/1.1 hdr host 'a.example'`),
    ['maps/response.map', 's0001 1000\n'],
    ['maps/path.map', `${id}/a;"$# ${route}\nshop.example/ ${route}\n`],
  ]);
  expect(faultsOfFiles(files, plain)).toEqual([]);
});

test('reads commands as HAProxy does', () => {
  expect(commandsIn('a b\nc <<\nd;e\nf\n\ng\\;h;i\n')).toEqual(['a b', 'c <<', 'g\\;h', 'i']);
  expect(faultsOfCommands('del map maps/path.map k\n', 1)).toEqual([]);
  expect(faultsOfCommands('del map maps/path.map k;disable frontend entry\n', 1)).toHaveLength(2);
  expect(faultsOfCommands(`add server s0001/${server.trim().slice('server '.length)}\n`, 1)).toEqual([]);
  expect(faultsOfCommands(`add server s0001/${server.trim().slice('server '.length)} track a/b\n`, 1)).toHaveLength(1);
  expect(faultsOfCommands('add map maps/path.map <<\nk v\n\nshow env\n\n', 1)).not.toEqual([]);
});
