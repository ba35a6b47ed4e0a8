import { request } from 'node:http';
import { HeadgateError } from '../../../lib/errors.ts';

/** Slot → the backend resource that it serves now. */
export type SlotLabels = ReadonlyMap<string, string>;

/**
 * HAProxy's own exporter, over its socket.
 * @param scopes parts of it, for example `backend`; none: all. Servers are the greater part of its cost.
 * @throws HG5003
 */
export async function fetchMetrics(socketPath: string, scopes: readonly string[] = []): Promise<string> {
  const path = `/metrics?${scopes.map((scope) => `scope=${scope}`).join('&')}`;
  const chunks: Buffer[] = [];
  await new Promise<void>((resolve, reject) => {
    const outgoing = request({ socketPath, path, timeout: 10_000, agent: false }, (answer) => {
      answer.on('data', (chunk: Buffer) => chunks.push(chunk));
      answer.once('end', resolve);
      answer.once('error', reject);
      if (answer.statusCode !== 200) reject(new Error(`status ${String(answer.statusCode)}`));
    });
    outgoing.once('timeout', () => outgoing.destroy(new Error('no answer in time')));
    outgoing.once('error', reject);
    outgoing.end();
  }).catch((error: unknown) => {
    throw HeadgateError.from(error, 'HG5003', "HAProxy's exporter does not answer");
  });
  return Buffer.concat(chunks).toString();
}

const SLOT = /proxy="(s\d+)"/;
const FAMILY = /^# TYPE (haproxy_backend_\w+) counter$/;

/**
 * Names namespace, service and port in the series of slots in use; series of spares are left out. What backends
 * counted is given by owner, not by slot.
 * @param counted owner → metric and further labels → count, as `Counters.sums` gives it.
 */
export function labelSlots(
  text: string,
  slots: SlotLabels,
  counted: ReadonlyMap<string, ReadonlyMap<string, number>>,
): string {
  const families = byFamily(counted);
  const lines: string[] = [];
  let family: string | undefined;
  for (const line of text.split('\n')) {
    if (line.startsWith('#')) family = FAMILY.exec(line)?.[1];
    const name = line.startsWith('#') ? undefined : SLOT.exec(line)?.[1];
    if (name === undefined) {
      lines.push(line);
      if (family !== undefined && line.startsWith('# TYPE')) lines.push(...(families.get(family) ?? []));
      continue;
    }
    const owner = slots.get(name);
    if (owner === undefined || family !== undefined) continue;
    lines.push(line.replace(SLOT, `proxy="${name}",${ownerLabels(owner).replaceAll('$', '$$$$')}`));
  }
  return lines.join('\n');
}

function byFamily(counted: ReadonlyMap<string, ReadonlyMap<string, number>>): Map<string, string[]> {
  const families = new Map<string, string[]>();
  for (const [owner, counts] of counted) {
    const labels = ownerLabels(owner);
    for (const [key, value] of counts) {
      const [metric = '', further] = key.split('{', 2);
      const lines = families.get(metric) ?? [];
      families.set(metric, lines);
      lines.push(`${metric}{${labels}${further === undefined ? '' : `,${further}`}} ${value}`);
    }
  }
  return families;
}

/** @param owner <namespace>/<service>/<port> */
function ownerLabels(owner: string): string {
  const [namespace = '', service = '', port = ''] = owner.split('/');
  return `namespace="${quoted(namespace)}",service="${quoted(service)}",port="${quoted(port)}"`;
}

/** Prometheus text format: backslash, quote and newline are escaped. */
function quoted(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}
