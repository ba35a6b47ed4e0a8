import { mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { HeadgateError } from '../../lib/errors.ts';
import type { Resource } from '../../lib/sync/index.ts';
import type { Fixed } from './model/desired.ts';
import { files } from './model/names.ts';
import type { Planner } from './plan/planner.ts';
import { checkConfiguration } from './process/check.ts';
import { ConfigFiles } from './process/config-files.ts';
import { dropSecrets } from './process/memory-folder.ts';
import { renderFiles } from './render/files.ts';

/** HAProxy's words where it refuses these resources, with nothing beside them. */
export type Refusal = (some: readonly Resource[]) => Promise<string | undefined>;

/**
 * Finds the resources that HAProxy refuses, by halving: both halves are asked about at once. What is refused only
 * together is not found.
 */
export async function findCulprits(all: readonly Resource[], refusal: Refusal): Promise<ReadonlyMap<Resource, string>> {
  const words = await refusal(all);
  if (words === undefined) return new Map();
  const [only, second] = all;
  if (only === undefined) return new Map();
  if (second === undefined) return new Map([[only, words]]);
  const middle = Math.ceil(all.length / 2);
  const halves = [all.slice(0, middle), all.slice(middle)];
  const found = await Promise.all(halves.map((half) => findCulprits(half, refusal)));
  return new Map(found.flatMap((some) => [...some]));
}

export interface TrialOptions {
  /** Absolute path of HAProxy. */
  readonly binary: string;
  /** HAProxy's folder: a trial has one below it, its keys as well kept as the others. */
  readonly folder: string;
  readonly external: boolean;
  readonly fixed: Fixed;
  readonly planner: () => Planner;
}

/** Has HAProxy read the files of some resources, in a folder of their own. */
export function trial({ binary, folder, external, fixed, planner: make }: TrialOptions): Refusal {
  return async (some) => {
    const planner = make();
    planner.apply({ upserts: some, removals: [] });
    const place = await mkdtemp(join(folder, 'trial-'));
    try {
      const written = new ConfigFiles(place, external);
      await written.prepare();
      await written.replaceAll(renderFiles(planner.desired, fixed));
      await checkConfiguration(binary, place, files.configuration);
      return undefined;
    } catch (error) {
      const { code, message } = HeadgateError.from(error);
      if (code !== 'HG5002') throw error;
      return message;
    } finally {
      await dropSecrets(place);
      await rm(place, { recursive: true, force: true });
    }
  };
}
