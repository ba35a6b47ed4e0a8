import { clearScreenDown, cursorTo, emitKeypressEvents } from 'node:readline';

import { HOSTS, type DemoFleet } from './fleet.ts';
import { Load, type Client } from './load.ts';
import { endpointSlice, ingress, service } from './manifests.ts';
import { metricSum, ms, setWeights, type Shares } from './measures.ts';
import { until } from './processes.ts';

export interface Stage {
  readonly fleet: DemoFleet;
  readonly client: Client;
  readonly firstAnswerMs: number;
  readonly plain: boolean;
  readonly rate: number;
}

const REFRESH_MS = 1_000;
const LIVE_MS = 5_000;

/** The demo for people: a picture once a second, and keys that change or break things. */
class Live {
  readonly #stage: Stage;
  readonly #load: Load;
  readonly #names: readonly string[];
  #weights: Shares | undefined;
  #away = false;
  #hosts = 0;
  /** 0: nothing is wrong; 1: a broken manifest; 2: a rival's claim. */
  #bad = 0;
  #last = '';
  #busy = false;
  #hubUp = true;

  constructor(stage: Stage) {
    this.#stage = stage;
    this.#names = [...stage.fleet.clusters.keys()];
    this.#load = new Load(stage.fleet.entries(), [HOSTS.shop], stage.rate);
  }

  async stop(): Promise<void> {
    await this.#load.stop();
  }

  /** One frame: what the last second's requests saw, entry by entry. */
  async frame(): Promise<string> {
    const { fleet, firstAnswerMs } = this.#stage;
    const seen = this.#load.take();
    const lines = [
      `Headgate demo: hub ${this.#hubUp ? 'up' : 'down'}, first answer after ${(firstAnswerMs / 1_000).toFixed(2)} s`,
      '',
      'entry    address            req/s  errors  age     asked → seen',
    ];
    const ages = await Promise.all([...fleet.clusters.values()].map(async ({ ops }) => await configAge(ops)));
    for (const [index, [name, { http }]] of [...fleet.clusters].entries()) {
      const counts = seen.get(name) ?? new Map<string, number>();
      const total = [...counts.values()].reduce((sum, count) => sum + count, 0);
      const shares = this.#names.map((cluster) => {
        const percent = total === 0 ? 0 : Math.round((100 * (counts.get(cluster) ?? 0)) / total);
        return `${cluster} ${this.#asked(name, cluster)} → ${percent} %`;
      });
      const errors = this.#load.failures.filter(({ entry }) => entry === name).length;
      const figures = `${String(total).padStart(5)}  ${String(errors).padStart(6)}  ${(ages[index] ?? '?').padEnd(6)}`;
      lines.push(`${name.padEnd(8)} ${http.padEnd(18)} ${figures}  ${shares.join('   ')}`);
    }
    lines.push('', `requests ${this.#load.total}, failed ${this.#load.failures.length}`, this.#last, '');
    lines.push(
      `manifests: ${fleet.data}/clusters   try: curl -H 'Host: ${HOSTS.shop}' http://${fleet.entries().get(this.#names[0] ?? '') ?? ''}/`,
    );
    lines.push(`commands: HEADGATE_CONFIG=${fleet.adminConfig} bin/headgate status`);
    lines.push(
      process.stdin.isTTY
        ? 'w weights   e endpoints   k kill/restart hub   b bad manifest   n new host   q quit'
        : 'Ctrl-C ends it; keys work on a terminal',
    );
    return lines.join('\n');
  }

  /** @returns false when the key asks to quit. Keys that come while one is at work are dropped. */
  async key(key: string): Promise<boolean> {
    const actions: Record<string, () => Promise<string>> = {
      w: async () => await this.#shiftWeights(),
      e: async () => await this.#toggleEndpoints(),
      k: async () => await this.#toggleHub(),
      b: async () => await this.#writeBad(),
      n: async () => await this.#newHost(),
    };
    if (key === 'q') return false;
    const action = actions[key];
    // One at a time: two hubs at once on one folder is no state to show.
    if (action === undefined || this.#busy) return true;
    this.#busy = true;
    this.#last = '…';
    try {
      this.#last = await action();
    } catch (thrown) {
      this.#last = thrown instanceof Error ? thrown.message : String(thrown);
    } finally {
      this.#busy = false;
    }
    return true;
  }

  #asked(entry: string, cluster: string): string {
    if (this.#weights !== undefined) return `${this.#weights[cluster] ?? 0}`;
    return entry === cluster ? '100' : '0';
  }

  async #shiftWeights(): Promise<string> {
    const rest = Math.floor(60 / Math.max(1, this.#names.length - 1));
    const favourite = this.#names[Math.floor(Math.random() * this.#names.length)] ?? '';
    const weights = Object.fromEntries(
      this.#names.map((name) => [name, name === favourite ? 100 - rest * (this.#names.length - 1) : rest]),
    );
    const started = performance.now();
    await setWeights(this.#stage.fleet, HOSTS.shop, weights);
    this.#weights = weights;
    return `weights ${Object.entries(weights)
      .map(([name, weight]) => `${name}=${weight}`)
      .join(' ')} accepted after ${ms(performance.now() - started)}`;
  }

  async #toggleEndpoints(): Promise<string> {
    const { fleet, client } = this.#stage;
    const name = this.#names[0] ?? '';
    this.#away = !this.#away;
    fleet.writeEndpoints(name, 'shop', this.#away ? [] : undefined);
    if (!this.#away) return `endpoints of ${name} are back`;
    const took = await until(async () => {
      const outcome = await client.get({ address: fleet.cluster(name).http, host: HOSTS.shop });
      return outcome.ok && outcome.cluster !== name;
    }, LIVE_MS);
    return `endpoints of ${name} taken away, traffic moved after ${ms(took)}`;
  }

  async #toggleHub(): Promise<string> {
    const { fleet } = this.#stage;
    if (this.#hubUp) {
      await fleet.hub.end('SIGKILL');
      this.#hubUp = false;
      return 'hub killed; traffic does not notice';
    }
    await fleet.restartHub();
    this.#hubUp = true;
    return 'hub restarted';
  }

  async #writeBad(): Promise<string> {
    const { fleet } = this.#stage;
    const { folder, name } = fleet.cluster(this.#names.at(-1) ?? '');
    this.#bad = (this.#bad + 1) % 3;
    switch (this.#bad) {
      case 1:
        folder.write(
          'bad.yaml',
          'apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: { name: bad }\nspec: { rules: [unclosed',
        );
        return `broken manifest written to ${name}/bad.yaml; see: … bin/headgate get events`;
      case 2:
        folder.write('bad.yaml', `${ingress('rival', 'rival', HOSTS.shop)}${service('rival', 'rival')}`);
        return `namespace rival claims ${HOSTS.shop} in ${name}; it gets nothing`;
      default:
        folder.remove('bad.yaml');
        return 'bad manifests removed';
    }
  }

  async #newHost(): Promise<string> {
    const { fleet, client } = this.#stage;
    const cluster = this.#names[0] ?? '';
    const name = `news-${++this.#hosts}`;
    const host = `${name}.example`;
    const pod = fleet.podsOf(cluster)[0] ?? '';
    const started = performance.now();
    const slice = endpointSlice('news', name, pod, fleet.ports.get(pod) ?? 0);
    fleet
      .cluster(cluster)
      .folder.write(`${name}.yaml`, `${ingress('news', name, host)}${service('news', name)}${slice}`);
    for (const address of fleet.entries().values()) {
      const took = await until(async () => (await client.get({ address, host })).ok, LIVE_MS);
      if (took === undefined) return `${host} is not live everywhere`;
    }
    return `${host} live in all ${this.#names.length} clusters after ${ms(performance.now() - started)}`;
  }
}

/** How old an entry's configuration is: 0 while its agent is connected to the hub. */
async function configAge(ops: string): Promise<string> {
  try {
    return `${Math.round(await metricSum(ops, 'headgate_agent_config_age_seconds'))} s`;
  } catch {
    return '?';
  }
}

/** Runs until `q`, Ctrl-C or the signal. */
export async function live(stage: Stage, signal: AbortSignal): Promise<void> {
  const show = new Live(stage);
  const { stdin, stdout } = process;
  const picture = !stage.plain && stdout.isTTY;
  const ended = Promise.withResolvers<void>();
  signal.addEventListener('abort', () => ended.resolve(), { once: true });
  const draw = async (): Promise<void> => {
    const frame = await show.frame();
    if (picture) {
      cursorTo(stdout, 0, 0);
      clearScreenDown(stdout);
    }
    stdout.write(`${frame}\n`);
  };
  const onKey = (_text: string | undefined, key: { name?: string; ctrl?: boolean }): void => {
    if (key.ctrl === true && key.name === 'c') ended.resolve();
    else void show.key(key.name ?? '').then((more) => (more ? undefined : ended.resolve()));
  };
  if (stdin.isTTY) {
    emitKeypressEvents(stdin);
    stdin.setRawMode(true);
    stdin.on('keypress', onKey);
  }
  await draw();
  const timer = setInterval(() => void draw(), REFRESH_MS);
  try {
    await ended.promise;
  } finally {
    clearInterval(timer);
    if (stdin.isTTY) {
      stdin.setRawMode(false);
      stdin.off('keypress', onKey);
      stdin.pause();
    }
    await show.stop();
  }
}
