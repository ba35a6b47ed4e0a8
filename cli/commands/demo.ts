import { HeadgateError } from '../../lib/errors.ts';
import { runDemo } from '../demo/main.ts';
import { Exit, exitCodes } from '../exit.ts';
import { untilSignal } from '../run.ts';

export interface DemoFlags {
  readonly clusters: string;
  readonly data?: string;
  readonly plain?: true;
  readonly script?: true;
  readonly sabotage?: string;
  readonly keep?: true;
}

export async function demo(flags: DemoFlags): Promise<void> {
  const clusters = flags.clusters.split(',');
  if (
    clusters.some((name) => !/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/.test(name)) ||
    new Set(clusters).size !== clusters.length
  ) {
    throw new HeadgateError('HG2001', '--clusters is not a list of different RFC 1123 labels', {
      remedy: 'give for example --clusters eu,us,ap',
    });
  }
  await untilSignal(
    async (signal) => {
      const code = await runDemo(
        {
          clusters,
          data: flags.data,
          plain: flags.plain === true,
          script: flags.script === true,
          sabotage: flags.sabotage,
          keep: flags.keep === true,
        },
        signal,
      );
      if (code !== exitCodes.done && !signal.aborted) throw new Exit(code);
    },
    { patience: DEMO_PATIENCE, attached: true },
  );
}

/** Milliseconds that the demo may take to end every process it started. */
const DEMO_PATIENCE = 20_000;
