import { writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { HeadgateError } from '../../lib/errors.ts';
import type { Bench, BenchReport } from './bench.ts';
import { haproxyCpu } from './haproxy-cpu.ts';
import { hubCpu } from './hub-cpu.ts';
import { propagation } from './propagation.ts';
import { describeMachine } from './machine.ts';
import { births } from './births.ts';
import { dataPlane } from './data-plane/data-plane.ts';
import { kubernetes } from './kubernetes/kubernetes.ts';
import { isPodNetwork, runInPodNetwork } from './kubernetes/pod-network.ts';
import { reconnect } from './reconnect.ts';
import { RunFolder } from './run-folder.ts';
import { figuresTable, tableText } from './table.ts';

const benches: readonly Bench[] = [propagation, births, reconnect, haproxyCpu, hubCpu, ...dataPlane, ...kubernetes];

const help = `npm run bench -- [NAME…] [--smoke] [--large] [--json FILE]

Measures Headgate against the figures it has to reach. Without a name, runs all; a name\nbefore a colon, all parts of it:
${benches.map(({ name, summary }) => `  ${name.padEnd(24)}${summary}`).join('\n')}

  --smoke      every bench at its smallest size, as script/test runs it
  --large      sizes that take minutes, too
  --json FILE  the results as JSON; - for standard output instead of the tables

Times and ratios never fail a run; an error, a lost request or a forbidden reload does (exit 1).
`;

interface Result extends BenchReport {
  readonly name: string;
  readonly seconds: number;
}

/** `data-plane` names all its parts, `data-plane:shapes` one. */
function isNamed(bench: Bench, name: string): boolean {
  return bench.name === name || bench.name.startsWith(`${name}:`);
}

function print(text: string): void {
  process.stdout.write(`${text}\n`);
}

/** Progress, beside the results. */
function note(text: string): void {
  process.stderr.write(`${text}\n`);
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    options: {
      help: { type: 'boolean', default: false },
      smoke: { type: 'boolean', default: false },
      large: { type: 'boolean', default: false },
      json: { type: 'string' },
    },
    allowPositionals: true,
  });
  if (values.help) {
    process.stdout.write(help);
    return 0;
  }
  const unknown = positionals.find((name) => !benches.some((bench) => isNamed(bench, name)));
  if (unknown !== undefined) throw new TypeError(`there is no bench '${unknown}'`);
  let chosen =
    positionals.length === 0 ? benches : benches.filter((bench) => positionals.some((name) => isNamed(bench, name)));

  if (chosen.some(({ podNetwork }) => podNetwork) && !(await isPodNetwork())) {
    const code = await runInPodNetwork();
    if (code !== undefined) return code;
    chosen = chosen.filter(({ podNetwork }) => !podNetwork);
    note('left out, for what is said above: all that needs real API servers');
  }

  const { smoke, large, json } = values;
  const quiet = json === '-';
  using _ = new RunFolder();
  const machine = await describeMachine();
  const date = new Date().toISOString();
  if (!quiet) {
    print(`${date}  ${machine.cores} cores of ${machine.model}, load ${machine.load}`);
    print(
      `HAProxy ${machine.haproxy}, Node ${machine.node}${smoke ? ', smoke: too small to say anything of speed' : ''}`,
    );
  }
  const results: Result[] = [];
  for (const bench of chosen) {
    note(`${bench.name}: ${bench.summary}`);
    const started = performance.now();
    const report = await bench.run({ smoke, large, note: (text) => note(`  ${text}`) });
    const result = { name: bench.name, seconds: Math.round((performance.now() - started) / 1_000), ...report };
    results.push(result);
    if (!quiet) printResult(result);
  }
  const text = `${JSON.stringify({ date, machine, smoke, results }, undefined, 2)}\n`;
  if (quiet) process.stdout.write(text);
  else if (json !== undefined) await writeFile(json, text);
  return results.some(({ faults }) => faults.length > 0) ? 1 : 0;
}

function printResult({ name, seconds, tables, figures, faults }: Result): void {
  print(`\n=== ${name} (${seconds} s)`);
  const shown = figures.length === 0 ? tables : [...tables, figuresTable(figures)];
  for (const table of shown) print(`\n${tableText(table)}`);
  for (const fault of faults) print(`\nFAULT: ${fault}`);
}

try {
  process.exitCode = await main();
} catch (error) {
  const usage = error instanceof TypeError;
  process.stderr.write(`${usage ? error.message : HeadgateError.from(error).chain()}\n`);
  process.exitCode = usage ? 2 : 1;
}
