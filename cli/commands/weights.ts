import type { WeightsRequest, WeightsResponse } from '../../hub/api/types.ts';
import { HeadgateError } from '../../lib/errors.ts';
import { connectHub, pathOf } from '../client.ts';
import type { Globals } from '../globals.ts';
import { stdout } from '../output.ts';

export async function weights(target: string, given: readonly string[], globals: Globals): Promise<void> {
  const body: WeightsRequest = { ...parseTarget(target), weights: parseWeights(given) };
  const hub = await connectHub(globals);
  const answer = await hub.call<WeightsResponse>('POST', pathOf('weights'), { body });
  const total = Object.values(body.weights).reduce((sum, weight) => sum + weight, 0);
  const shares = Object.entries(body.weights).map(
    ([cluster, weight]) => `${cluster} ${Number(((100 * weight) / total).toFixed(3))}%`,
  );
  stdout.write(
    `${answer.policy} ${answer.action}: ${answer.target} ${shares.join(', ')} (revision ${answer.revision})\n`,
  );
}

/** HOST or HOST/PATH; a scheme in front is forgiven. */
export function parseTarget(target: string): Pick<WeightsRequest, 'host' | 'path'> {
  const text = target.replace(/^https?:\/\//, '');
  const slash = text.indexOf('/');
  const host = slash === -1 ? text : text.slice(0, slash);
  if (host === '') {
    throw new HeadgateError('HG2001', 'the host is missing', { remedy: 'give HOST or HOST/PATH, then eu=90 us=10' });
  }
  return slash === -1 ? { host } : { host, path: text.slice(slash) };
}

/** @throws HeadgateError HG2001 malformed, HG1009 all 0 */
export function parseWeights(given: readonly string[]): Record<string, number> {
  const weights = new Map<string, number>();
  for (const text of given) {
    const match = /^([a-z0-9-]+)=([0-9]{1,7})$/.exec(text);
    if (match?.[1] === undefined || Number(match[2]) > 1_000_000) {
      throw new HeadgateError('HG2001', `weight ${JSON.stringify(text)} is not CLUSTER=NUMBER`, {
        remedy: 'give whole numbers from 0 to 1000000, such as eu=90 us=10',
      });
    }
    if (weights.has(match[1])) {
      throw new HeadgateError('HG2001', `cluster ${match[1]} is given twice`, { remedy: 'give each cluster once' });
    }
    weights.set(match[1], Number(match[2]));
  }
  if ([...weights.values()].every((weight) => weight === 0)) {
    throw new HeadgateError('HG1009', 'weights sum to 0', {
      remedy: 'give at least one cluster a weight, or cordon the clusters instead',
    });
  }
  return Object.fromEntries(weights);
}
