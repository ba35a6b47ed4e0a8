import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { HeadgateError } from '../../lib/errors.ts';
import { DemoFleet, HOSTS } from './fleet.ts';
import { live } from './live.ts';
import { Client, Load } from './load.ts';
import { leftBehind, steps, type Line, type Play } from './play.ts';
import { until } from './processes.ts';
import { isPromise, promises } from './promises.ts';
import { Sabotage } from './sabotage.ts';

export interface DemoOptions {
  readonly clusters: readonly string[];
  /** Folder to work in; undefined: a temporary one. */
  readonly data: string | undefined;
  /** Lines instead of the picture. */
  readonly plain: boolean;
  /** Play everything by itself and judge it. */
  readonly script: boolean;
  readonly sabotage: string | undefined;
  /** Leave the folder there at the end. */
  readonly keep: boolean;
}

/** Requests a second over all entries and hosts. */
const RATE = 150;
/** The play is written for these. */
const SCRIPTED = 'eu,us,ap';

/** Runs the demo to its end; resolves with the exit code. */
export async function runDemo(options: DemoOptions, signal: AbortSignal): Promise<number> {
  const { sabotage: broken } = options;
  if (broken !== undefined && !isPromise(broken)) {
    throw new HeadgateError('HG2001', `unknown promise '${broken}'`, {
      remedy: `use one of ${Object.keys(promises).join(', ')}`,
    });
  }
  if (options.script && options.clusters.join() !== SCRIPTED) {
    throw new HeadgateError('HG2001', '--script plays with the clusters eu, us and ap', {
      remedy: 'leave out --clusters',
    });
  }
  const data = options.data ?? mkdtempSync(join(tmpdir(), 'headgate-demo-'));
  mkdirSync(data, { recursive: true });
  try {
    return await run(options, data, new Sabotage(broken), signal);
  } finally {
    if (!options.keep && options.data === undefined) rmSync(data, { recursive: true, force: true });
  }
}

async function run(options: DemoOptions, data: string, sabotage: Sabotage, signal: AbortSignal): Promise<number> {
  const started = performance.now();
  await sabotage.when('first-answer', async () => await new Promise((resolve) => setTimeout(resolve, 6_000)));
  const fleet = await DemoFleet.start(data, options.clusters);
  const client = new Client();
  const entry = fleet.entries().values().next().value ?? '';
  try {
    await until(async () => (await client.get({ address: entry, host: HOSTS.shop })).ok || signal.aborted, 20_000);
    const firstAnswerMs = performance.now() - started;
    await fleet.applyPolicies();
    if (options.script) return await script({ fleet, client, sabotage, firstAnswerMs }, signal);
    await live({ fleet, client, firstAnswerMs, plain: options.plain, rate: RATE }, signal);
    return 0;
  } finally {
    client.close();
    await fleet.stop();
  }
}

async function script(scene: Omit<Play, 'load'>, signal: AbortSignal): Promise<number> {
  const { fleet, sabotage } = scene;
  // Every entry serves before the load begins: what is counted is the play, not the birth.
  for (const [, address] of fleet.entries()) {
    for (const host of Object.values(HOSTS))
      await until(async () => (await scene.client.get({ address, host })).ok, 20_000);
  }
  const unrouted = sabotage.is('failed-requests') ? ['nobody.example'] : [];
  const load = new Load(fleet.entries(), [HOSTS.shop, HOSTS.cart, HOSTS.sticky, ...unrouted], RATE);
  const lines: Line[] = [];
  const say = (line: Line): void => {
    lines.push(line);
    process.stdout.write(`${line.ok ? '√' : '×'} ${promises[line.promise]}: ${line.figure}\n`);
  };
  const strangers: number[] = [];
  try {
    for (const [promise, step] of steps) {
      signal.throwIfAborted();
      if (promise === 'failed-requests') await load.stop();
      try {
        say({ promise, ...(await step({ ...scene, load })) });
      } catch (thrown) {
        say({ promise, ok: false, figure: HeadgateError.from(thrown).line() });
      }
    }
    await sabotage.when('left-behind', async () => {
      strangers.push(spawn('sleep', ['30'], { detached: true, stdio: 'ignore' }).pid ?? 0);
    });
    const pids = [...fleet.processes(), ...strangers];
    await fleet.stop();
    say(leftBehind(pids));
  } finally {
    await load.stop();
    for (const pid of strangers) process.kill(pid);
  }
  const failed = lines.filter(({ ok }) => !ok).length;
  process.stdout.write(`${lines.length - failed} passed, ${failed} failed\n`);
  return failed === 0 ? 0 : 1;
}
