import { expect, test } from 'vitest';
import { commandsIn, faultsOfCommands, faultsOfFiles } from './rendered.ts';

// A check that cannot fail checks nothing.

const plain = new Map([
  ['conf/00-base.cfg', 'global\n'],
  ['conf/50-slots-0000.cfg', 'backend s0000\n'],
  ['maps/path.map', ''],
  ['certs/crt-list.txt', 'certs/default.pem default.headgate.invalid\n'],
]);

const server = '  server e-0123456789ab 127.0.0.1:80 weight 1 check inter 2s\n';
const id = '0123456789ab!';
const route = 's0001|0123456789abcdef||p00';

test.each([
  ['conf/00-base.cfg', 'global\n  log stdout\n'],
  ['conf/50-slots-0000.cfg', 'backend s0000\n  http-request return\n'],
  ['conf/50-slots-0000.cfg', `backend s0000\n${server}backend s0001\n`],
  ['conf/50-slots-0000.cfg', `backend s0000\n${server.replace('127.0.0.1:80', 'evil:80')}`],
  ['conf/50-slots-0000.cfg', 'backend s0000'],
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
    ['conf/50-slots-0000.cfg', `backend s0000\n${server}`],
    ['maps/path.map', `${id}/a;"$# ${route}\nshop.example/ ${route}\n`],
  ]);
  expect(faultsOfFiles(files, plain)).toEqual([]);
});

test('reads commands as HAProxy does', () => {
  expect(commandsIn('a b\nc <<\nd;e\nf\n\ng\\;h;i\n')).toEqual(['a b', 'c <<', 'g\\;h', 'i']);
  expect(faultsOfCommands('del map maps/path.map k\n', 1)).toEqual([]);
  expect(faultsOfCommands('del map maps/path.map k;disable frontend entry\n', 1)).toHaveLength(2);
  expect(faultsOfCommands('add map maps/path.map <<\nk v\n\nshow env\n\n', 1)).not.toEqual([]);
});
