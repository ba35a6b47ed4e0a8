import { once } from 'node:events';
import { Agent, type IncomingMessage, request } from 'node:http';
import { PlaneBench, service } from '../../agent/haproxy/testing/plane.fixture.ts';
import { systemClock } from '../../lib/clock.ts';

export interface BirthOutcome {
  readonly births: number;
  readonly polls: number;
  /** What a client saw that was neither 404 nor its own backend's 200, or in another order. */
  readonly faults: readonly string[];
  /** Milliseconds from the start of the change to the last client's first 200, per batch. */
  readonly slowest: number;
  readonly reloads: number;
}

/** New routes in batches, each with a service of its own, polled by a client from before it is there. */
export async function cleanBirth(births: number, batch: number): Promise<BirthOutcome> {
  await using bench = await PlaneBench.make();
  const pods = await Promise.all(
    ['one', 'two'].map(async (name) => ({ name, port: (await bench.upstream(name)).port })),
  );
  await bench.start([]);
  const agent = new Agent({ keepAlive: true, maxSockets: 64 });
  const faults: string[] = [];
  let [polls, slowest] = [0, 0];

  const poll = async (host: string, expected: string): Promise<void> => {
    for (let isLive = false, after = 0; after < 3;) {
      polls++;
      const seen = await ask(agent, bench.http, host).catch(String);
      if (seen === `200 ${expected}`) {
        isLive = true;
        after++;
      } else if (isLive || !seen.startsWith('404')) {
        faults.push(`${host}: ${seen}${isLive ? ' after its first 200' : ''}`);
        return;
      }
      await systemClock.sleep(2);
    }
  };
  for (let born = 0; born < births; born += batch) {
    const news = Array.from({ length: batch }, (_, i) => {
      const pod = pods[(born + i) % 2] ?? { name: '', port: 0 };
      return { host: `new${born + i}`, ...pod };
    });
    const clients = news.map(async ({ host, name }) => await poll(`${host}.example`, name));
    await systemClock.sleep(5);
    const began = performance.now();
    await bench.apply(news.flatMap(({ host, port }) => service(host, [port])));
    await Promise.all(clients);
    slowest = Math.max(slowest, performance.now() - began);
  }
  agent.destroy();
  const reloads = [...bench.plane.status().reloads.values()].reduce((a, b) => a + b, 0);
  return { births, polls, faults, slowest, reloads };
}

async function ask(agent: Agent, port: number, host: string): Promise<string> {
  const outgoing = request({ agent, host: '127.0.0.1', port, path: '/', headers: { host } });
  outgoing.end();
  const [answer] = (await once(outgoing, 'response')) as [IncomingMessage];
  let body = '';
  for await (const chunk of answer) body += String(chunk);
  return `${answer.statusCode ?? 0} ${body}`;
}
