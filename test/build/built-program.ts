import { cp, mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { build } from 'rolldown';
import { HEADGATE } from '../../cli/demo/processes.ts';
import config from '../../rolldown.config.ts';

/** Lays out in a folder what an image holds of the program. @returns its `bin/headgate` */
export async function buildProgram(folder: string): Promise<string> {
  const program = join(folder, 'bin', 'headgate');
  await mkdir(dirname(program), { recursive: true });
  await cp(HEADGATE, program);
  await build({ ...config, logLevel: 'warn', output: { ...config.output, dir: join(folder, 'dist') } });
  return program;
}
