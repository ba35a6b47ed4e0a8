import type { Fixed } from '../model/desired.ts';
import { files, NOTHING, sockets } from '../model/names.ts';
import { entry } from './entry.ts';
import { gateway } from './gateway.ts';
import { indent } from './indent.ts';
import { poolNameLines } from './reuse.ts';

/** Everything but the pools: process settings, defaults, frontends. It changes only with the agent's flags. */
export function baseFile(fixed: Fixed): string {
  const lines = [
    'global',
    ...indent([
      // For normalize-uri, in 2.6 and since.
      'expose-experimental-directives',
      `stats socket unix@${sockets.worker} mode 600 level admin expose-fd listeners`,
      'stats timeout 1h',
      ...(fixed.threads === undefined ? [] : [`nbthread ${fixed.threads}`]),
      `server-state-file ${files.health}`,
      // Its look-up costs more than the few short patterns that are not trees.
      'tune.pattern.cache-size 0',
      'hard-stop-after 10m',
      'mworker-max-reloads 6',
      'ssl-default-bind-options ssl-min-ver TLSv1.2',
      'ssl-default-server-options ssl-min-ver TLSv1.2',
    ]),
    ...poolNameLines,
    'defaults',
    ...indent([
      'mode http',
      'balance roundrobin',
      // Without it a reload loses requests on idle keep-alive connections.
      'option idle-close-on-response',
      'option dontlognull',
      'load-server-state-from-file global',
      // A connection that failed is tried on another server; a request that was sent never is.
      'option redispatch 1',
      'retries 2',
      'timeout connect 2s',
      'timeout queue 2s',
      'timeout client 60s',
      'timeout server 60s',
      'timeout http-request 10s',
      'timeout http-keep-alive 30s',
      'timeout tunnel 1h',
      ...[
        [400, 'bad request'],
        [408, 'request timeout'],
        [502, 'bad answer'],
        [503, 'no endpoint'],
        [504, 'no answer in time'],
      ].map(([status, text]) => `http-error status ${status} content-type text/plain string "${text}\\n"`),
    ]),
    'frontend metrics',
    ...indent([
      `bind unix@${sockets.metrics} mode 600`,
      'http-request use-service prometheus-exporter if { path /metrics }',
      'http-request return status 404',
    ]),
    ...entry(fixed),
    ...gateway(fixed),
    `backend ${NOTHING}`,
    ...indent(['http-request return status 503 content-type text/plain string "no endpoint\\n"']),
  ];
  return `${lines.join('\n')}\n`;
}
