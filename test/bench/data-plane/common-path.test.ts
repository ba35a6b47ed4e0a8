import { expect, test } from 'vitest';
import { entry } from '../../../agent/haproxy/render/entry.ts';
import { commonPath, linearRules } from './common-path.ts';

const listeners = { http: ':80', https: ':443', gateway: ':7444', proxyProtocol: false, tlsPassthrough: true };
const base = [...entry({ cluster: 'eu', listeners }), 'frontend gateway'].join('\n');

test('every map that a request with a route meets is a tree', () => {
  expect(commonPath(base).filter((line) => line.includes('map_beg(maps/path.map)'))).toHaveLength(1);
  expect(linearRules(base)).toEqual([]);
});

test.each(['map_reg(m)', 'map_regm(m)', 'map_dir(m)', 'map_end(m)', 'map_sub(m)'])('%s is none', (map) => {
  expect(linearRules(base.replace('map_beg(maps/path.map)', map))).toHaveLength(1);
});
