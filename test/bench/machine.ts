import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { availableParallelism, cpus, loadavg } from 'node:os';
import { promisify } from 'node:util';
import { haproxyBinary } from '../../agent/haproxy/testing/rig.fixture.ts';

export interface Machine {
  readonly cores: number;
  readonly model: string;
  /** One minute's load average when the run began. */
  readonly load: number;
  readonly haproxy: string;
  readonly node: string;
}

/** Ticks of /proc/<pid>/stat per second: USER_HZ, 100 on every Linux that Node runs on. */
const USER_HZ = 100;

const run = promisify(execFile);

export async function describeMachine(): Promise<Machine> {
  const { stdout } = await run(haproxyBinary, ['-v']);
  return {
    cores: availableParallelism(),
    model: cpus()[0]?.model.trim() ?? 'unknown',
    load: Number(loadavg()[0]?.toFixed(2)),
    haproxy: /version (\S+)/.exec(stdout)?.[1] ?? 'unknown',
    node: process.version,
  };
}

/** Seconds of CPU, user and system, that a process has used; in steps of 10 ms. */
export async function cpuSeconds(pid: number): Promise<number> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8');
  // The command's name may hold spaces and brackets: count from the last one.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / USER_HZ;
}

/** Resident set of a process, MiB. */
export async function residentMib(pid: number): Promise<number> {
  const text = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(text)?.[1]) / 1024;
}

/** What a process holds in memory, MiB. */
export interface Resident {
  /** All of it, and what is shared by its part. */
  readonly rss: number;
  readonly pss: number;
  /** Its own data; the rest are pages of files, such as the program, which the system may drop and read again. */
  readonly anonymous: number;
}

export async function resident(pid: number): Promise<Resident> {
  const text = await readFile(`/proc/${pid}/smaps_rollup`, 'utf8');
  const mib = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(text)?.[1]) / 1024;
  return { rss: mib('Rss'), pss: mib('Pss'), anonymous: mib('Anonymous') };
}
