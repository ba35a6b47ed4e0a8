import { hostname } from 'node:os';
import type { Example } from './cli-page.ts';
import type { Tour } from './tour.ts';

/**
 * In the order in which they are run: each finds what those before it have made. What agents report comes a moment
 * after what the hub knows; with `shows` a command is repeated until it has come.
 */
const run: readonly (readonly [path: string, args: string, shows?: string])[] = [
  ['cluster add', 'cluster add ap --label region=ap -o json'],
  ['cluster list', 'cluster list'],
  ['cluster revoke', 'cluster revoke ap --node n1'],
  ['cluster readmit', 'cluster readmit ap --node n1'],
  ['cluster remove', 'cluster remove ap'],
  ['diff', 'diff -f docs/tour/policy.yaml'],
  ['apply', 'apply -f docs/tour/policy.yaml'],
  ['get', 'get routes', 'us→eu 50% us 50%'],
  ['describe', 'describe host shop.example'],
  ['explain', 'explain http://shop.example/cart --cluster eu', 'returning'],
  ['weights', 'weights shop.example eu=90 us=10'],
  ['cordon', 'cordon us'],
  ['status', 'status'],
  ['uncordon', 'uncordon us'],
  ['delete', 'delete -f docs/tour/policy.yaml'],
];

/** What the tour has no occasion for, as it was printed by hand; `…` stands for the rest. */
const recorded: readonly (readonly [path: string, args: string, printed: string])[] = [
  [
    'demo',
    'demo --script',
    '√ each cluster serves its own first: 0 of 600 requests crossed, 0 failed\n…\n√ HAProxy reloads: 0\n√ nothing left behind: 0 of 11 processes',
  ],
  ['agent stop', 'agent stop --data /tmp/headgate-tour/eu-data', ''],
  ['agent render', 'agent render --cluster eu --data /tmp/headgate-tour/pod --listen-http 0.0.0.0:8080', ''],
  ['guard list', 'guard list', 'ID\tCLUSTER\tGUARD\tHOLDS\neu-ac17a8ea\teu\tshrink\t12 of 13 routes of eu'],
  ['guard confirm', 'guard confirm eu-ac17a8ea', 'guard eu-ac17a8ea confirmed (revision 61)'],
  [
    'check',
    'check',
    '√ Node 24.21.0\n√ HAProxy 2.6.12-1+deb12u4 (/usr/sbin/haproxy)\n! HAProxy 2.6 starts its own counters at 0 after a reload; install 3.2 LTS\n…\n√ hub 0.1.0 at https://127.0.0.1:7480, revision 21\n√ cluster eu is connected, 1 of 1 nodes ready',
  ],
  [
    'store epoch',
    'store epoch --data /tmp/headgate-tour/hub --new',
    'epoch 2 began; start the hub, agents take what it holds from now on',
  ],
];

const DEADLINE_MS = 15_000;

/** Runs the examples beside the tour. What differs from run to run is replaced by one value of its form. */
export async function cliExamples(tour: Tour): Promise<ReadonlyMap<string, Example>> {
  const examples = new Map<string, Example>(
    recorded.map(([path, args, printed]) => [path, { typed: `headgate ${args}`, printed }]),
  );
  examples.set('hub', { typed: 'headgate hub --data /tmp/headgate-tour/hub', printed: steady(tour.read('hub.ready')) });
  examples.set('agent', {
    typed: 'headgate agent --hub 127.0.0.1:7443 --cluster eu --source directory:/tmp/headgate-tour/eu …',
    printed: steady(tour.read('eu.ready')),
  });
  for (const [path, args, shows = ''] of run) {
    const end = performance.now() + DEADLINE_MS;
    let printed = await tour.headgate(args.split(' '));
    while (!printed.includes(shows) && performance.now() < end) printed = await tour.headgate(args.split(' '));
    examples.set(path, { typed: `headgate ${args}`, printed: steady(printed) });
  }
  const [first = ''] = (await tour.headgate(['completion', 'bash'])).split('\n');
  examples.set('completion', { typed: 'headgate completion bash', printed: `${first}\n…` });
  return examples;
}

function steady(text: string): string {
  return text
    .replaceAll(/hgjoin1\.[\w.-]+/g, 'hgjoin1.…')
    .replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, '2026-01-01T12:00:00.000Z')
    .replaceAll(/revision"?:? "?\d+/g, (match) => match.replace(/\d+/, '17'))
    .replaceAll(/\t\d+s$/gm, '\t1s')
    .replaceAll(/^( +shop\.example +\w+ +1 +)(\d+ +)0$/gm, (_, before: string, revision: string) => {
      return `${before}${'17'.padEnd(revision.length)}0`;
    })
    .replaceAll(`"node":"${hostname().toLowerCase().split('.')[0]}"`, '"node":"laptop"');
}
