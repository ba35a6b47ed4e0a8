import { expect, it } from 'vitest';
import { labelSlots } from './exporter.ts';

const slots = new Map([['s0000', 'shop/a/x"$&']]);
const counted = new Map([['shop/a/x"$&', new Map([['haproxy_backend_http_responses_total{code="2xx"', 70]])]]);

it('translates the labels of slots in use, drops spares and leaves the rest as it is', () => {
  const text = [
    '# TYPE haproxy_backend_http_responses_total counter',
    'haproxy_backend_http_responses_total{proxy="s0000",code="2xx"} 7',
    'haproxy_backend_http_responses_total{proxy="nothing",code="2xx"} 1',
    '# TYPE haproxy_server_status gauge',
    'haproxy_server_status{proxy="s0001",server="e-1",state="UP"} 1',
    'haproxy_server_status{proxy="s0000",server="e-1",state="UP"} 1',
    'haproxy_frontend_sessions_total{proxy="entry"} 3',
    'haproxy_process_nbthread 2',
    '',
  ].join('\n');
  const labels = 'namespace="shop",service="a",port="x\\"$&"';
  expect(labelSlots(text, slots, counted).split('\n')).toEqual([
    '# TYPE haproxy_backend_http_responses_total counter',
    `haproxy_backend_http_responses_total{${labels},code="2xx"} 70`,
    'haproxy_backend_http_responses_total{proxy="nothing",code="2xx"} 1',
    '# TYPE haproxy_server_status gauge',
    `haproxy_server_status{proxy="s0000",${labels},server="e-1",state="UP"} 1`,
    'haproxy_frontend_sessions_total{proxy="entry"} 3',
    'haproxy_process_nbthread 2',
    '',
  ]);
});
