import { expect, it } from 'vitest';
import { labelSlots } from './exporter.ts';

const slots = new Map([['s0000', { namespace: 'shop', service: 'a', port: 'x"$&' }]]);

it('translates the labels of slots in use, drops spares and leaves the rest as it is', () => {
  const text = [
    '# TYPE haproxy_backend_sessions_total counter',
    'haproxy_backend_sessions_total{proxy="s0000"} 7',
    'haproxy_backend_sessions_total{proxy="s0001"} 0',
    'haproxy_server_status{proxy="s0000",server="e-1",state="UP"} 1',
    'haproxy_frontend_sessions_total{proxy="entry"} 3',
    'haproxy_process_nbthread 2',
    '',
  ].join('\n');
  const labels = 'proxy="s0000",namespace="shop",service="a",port="x\\"$&"';
  expect(labelSlots(text, slots).split('\n')).toEqual([
    '# TYPE haproxy_backend_sessions_total counter',
    `haproxy_backend_sessions_total{${labels}} 7`,
    `haproxy_server_status{${labels},server="e-1",state="UP"} 1`,
    'haproxy_frontend_sessions_total{proxy="entry"} 3',
    'haproxy_process_nbthread 2',
    '',
  ]);
});
