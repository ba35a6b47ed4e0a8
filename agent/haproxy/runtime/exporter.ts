import { request } from 'node:http';
import { HeadgateError } from '../../../lib/errors.ts';

/** What a slot serves now. */
export type SlotLabels = ReadonlyMap<
  string,
  { readonly namespace: string; readonly service: string; readonly port: string }
>;

/** HAProxy's own exporter, over its socket. @throws HG5003 */
export async function fetchMetrics(socketPath: string): Promise<string> {
  const chunks: Buffer[] = [];
  await new Promise<void>((resolve, reject) => {
    const outgoing = request({ socketPath, path: '/metrics', timeout: 10_000, agent: false }, (answer) => {
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

/** Adds namespace, service and port to the series of slots in use; series of spares are left out. */
export function labelSlots(text: string, slots: SlotLabels): string {
  const lines: string[] = [];
  for (const line of text.split('\n')) {
    const name = line.startsWith('#') ? undefined : SLOT.exec(line)?.[1];
    if (name === undefined) {
      lines.push(line);
      continue;
    }
    const labels = slots.get(name);
    if (labels === undefined) continue;
    const { namespace, service, port } = labels;
    const added = `proxy="${name}",namespace="${quoted(namespace)}",service="${quoted(service)}",port="${quoted(port)}"`;
    lines.push(line.replace(SLOT, added));
  }
  return lines.join('\n');
}

/** Prometheus text format: backslash, quote and newline are escaped. `$` is special to `replace`. */
function quoted(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n').replaceAll('$', '$$$$');
}
