/*
 * script/demo --kubernetes: three real kube-apiservers, a hub, and an agent and a HAProxy for each. An Ingress written
 * with kubectl in one cluster is live in all three; then fifty more, with the time that each took.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { stringify } from 'yaml';
import { ms, reloadsOf } from '../../../cli/demo/measures.ts';
import { leftBehind } from '../../../cli/demo/play.ts';
import { HEADGATE } from '../../../cli/demo/processes.ts';
import { promises } from '../../../cli/demo/promises.ts';
import { HeadgateError } from '../../../lib/errors.ts';
import { spread } from '../../bench/numbers.ts';
import { RunFolder } from '../../bench/run-folder.ts';
import { tableText } from '../../bench/table.ts';
import { KubeFleet, openHost, openIngress, SHARED } from '../fleet/kube-fleet.ts';
import { newIngress, untilLive, type Live } from '../fleet/until-live.ts';
import { WatchFloor } from '../fleet/watch-floor.ts';
import { contextsOf } from './contexts.ts';
import { kubectlCreate } from './kubectl-create.ts';

const CLUSTERS = ['eu', 'us', 'ap'];
const [HOME = ''] = CLUSTERS;
/** Hosts that every cluster declares before. */
const ROUTES = 10;
const WRITES = 50;

const help = `script/demo --kubernetes [--script]

Three kube-apiservers, a hub, an agent and a HAProxy each, in a network of their own. Writes Ingresses with kubectl into
one cluster and tells when all three serve them. Then a shell in that network; with --script it ends by itself, with
exit code 0 only when everything was live.
`;

function say(text: string): void {
  process.stdout.write(`${text}\n`);
}

function line(ok: boolean, what: string, figure: string): boolean {
  say(`${ok ? '√' : '×'} ${what}: ${figure}`);
  return ok;
}

function row(what: string, sample: readonly number[]): (string | number)[] {
  return [what, ...spread(sample)];
}

/** @returns whether all of it went well. */
async function play(fleet: KubeFleet): Promise<boolean> {
  const home = fleet.cluster(HOME);
  const kinds = [{ apiVersion: 'networking.k8s.io/v1', kind: 'Ingress' }];
  await using floor = await WatchFloor.start(home.api, kinds);
  const write = async (name: string): Promise<Live> =>
    await untilLive(
      floor,
      newIngress(fleet, HOME, name, async (object) => await kubectlCreate(home, object)),
    );
  const reloads = async (): Promise<number> => {
    const counts = CLUSTERS.map(async (name) => await reloadsOf(fleet.processes.cluster(name).data));
    return (await Promise.all(counts)).reduce((sum, count) => sum + count, 0);
  };
  const reloadsBefore = await reloads();

  say(`\n$ kubectl --context ${HOME} create -f -\n${stringify(openIngress('news', SHARED))}`);
  const first = await write('news');
  const times = [...first.entries].map(([cluster, after]) => `${cluster} ${ms(after)}`);
  line(true, `${openHost('news')} live after the API server's reply`, times.join(', '));
  for (const args of [['status'], ['get', 'routes', '-n', 'open']]) {
    say(`\n$ headgate ${args.join(' ')}\n${(await fleet.processes.must(args)).trimEnd()}`);
  }

  const seen: Live[] = [];
  for (let i = 1; i <= WRITES; i++) {
    seen.push(await write(`news-${i}`));
    // Not in step with any timer of the fleet.
    await sleep((i * 37) % 100);
  }
  const rows = [
    row(
      "the API server's own watch",
      seen.map(({ floor }) => floor),
    ),
    ...CLUSTERS.map((name) =>
      row(
        `entry of ${name}`,
        seen.map(({ entries }) => entries.get(name) ?? Number.NaN),
      ),
    ),
    row(
      'all three entries',
      seen.map(({ all }) => all),
    ),
  ];
  const title = `${WRITES} Ingresses written with kubectl in ${HOME}, from the API server's reply, ms`;
  say(`\n${tableText({ title, columns: ['until', 'p50', 'p99', 'most'], rows })}\n`);
  const reloaded = (await reloads()) - reloadsBefore;
  return line(reloaded === 0, promises.reloads, String(reloaded));
}

/** A shell that has kubectl and headgate at hand, or, without a terminal, until a signal comes. */
async function explore(fleet: KubeFleet): Promise<void> {
  const kubeconfig = join(fleet.processes.data, 'kubeconfig');
  await writeFile(kubeconfig, await contextsOf(fleet.ground.clusters), { mode: 0o600 });
  const entries = CLUSTERS.map((name) => `${name} http://${fleet.processes.cluster(name).http}`).join('   ');
  say(`
entries: ${entries}
try:     curl -H 'Host: ${openHost('news')}' http://${fleet.processes.cluster('ap').http}/
         kubectl --context us get ingress -A
         headgate explain http://${openHost('news')}/ --cluster us
`);
  if (!process.stdin.isTTY) {
    say('Ctrl-C ends it.');
    await new Promise(() => undefined);
    return;
  }
  say('This shell is in the network of the fleet; exit ends the demo.');
  const { PATH = '', SHELL = '/bin/sh' } = process.env;
  const paths = [join(fleet.cluster(HOME).kubectlProgram, '..'), join(HEADGATE, '..'), PATH];
  const shell = spawn(SHELL, [], {
    stdio: 'inherit',
    env: {
      ...process.env,
      PATH: paths.join(':'),
      KUBECONFIG: kubeconfig,
      HEADGATE_CONFIG: fleet.processes.adminConfig,
    },
  });
  await once(shell, 'exit');
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: {
      help: { type: 'boolean', default: false },
      kubernetes: { type: 'boolean', default: false },
      script: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(help);
    return 0;
  }
  using _ = new RunFolder();
  say(`Starting ${CLUSTERS.length} kube-apiservers, a hub, ${CLUSTERS.length} agents and their HAProxies …`);
  const started = performance.now();
  let good: boolean;
  let pids: readonly number[];
  {
    await using fleet = await KubeFleet.start({ clusters: CLUSTERS, routes: ROUTES });
    const seconds = ((performance.now() - started) / 1_000).toFixed(1);
    line(true, 'every entry serves', `${seconds} s, ${ROUTES} hosts that all clusters declare`);
    good = await play(fleet);
    if (!values.script) await explore(fleet);
    pids = fleet.pids();
  }
  const { ok, figure, promise } = leftBehind(pids);
  line(ok, promises[promise], figure);
  return good && ok ? 0 : 1;
}

try {
  process.exitCode = await main();
} catch (error) {
  const usage = error instanceof TypeError;
  process.stderr.write(`${usage ? error.message : HeadgateError.from(error).line()}\n`);
  process.exitCode = usage ? 2 : 1;
}
