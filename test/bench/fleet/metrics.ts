/**
 * A metric's samples by the value of one label, summed over all others.
 *
 * @param ops host:port of an ops listener
 */
export async function metricOf(ops: string, name: string, label: string): Promise<ReadonlyMap<string, number>> {
  const text = await (await fetch(`http://${ops}/metrics`)).text();
  const samples = new Map<string, number>();
  for (const line of text.split('\n')) {
    if (!line.startsWith(`${name}{`)) continue;
    const value = new RegExp(`[{,]${label}="([^"]*)"`).exec(line)?.[1];
    if (value !== undefined)
      samples.set(value, (samples.get(value) ?? 0) + Number(line.slice(line.lastIndexOf(' ') + 1)));
  }
  return samples;
}
