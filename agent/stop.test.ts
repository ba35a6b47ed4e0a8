import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from 'vitest';

import { isAlive } from './haproxy/process/stop.ts';
import { stopAgent } from './stop.ts';

// As in a container whose first process collects no children. Without /proc such a one counts as alive.
it.runIf(process.platform === 'linux')('takes an agent that ended and that nobody collects for gone', async () => {
  const data = await mkdtemp(join(tmpdir(), 'headgate-stop-'));
  const command = `"$0" -e "console.log(process.pid); setInterval(() => {}, 1000)" agent & exec sleep 60`;
  const parent = spawn('sh', ['-c', command, process.execPath], { stdio: ['ignore', 'pipe', 'ignore'] });
  try {
    const [said] = (await once(parent.stdout, 'data')) as [Buffer];
    await writeFile(join(data, 'agent.pid'), said);
    expect(isAlive(Number(said))).toBe(true);
    expect(await stopAgent(data)).toEqual(['the agent']);
    expect(await stopAgent(data)).toEqual([]);
    expect(isAlive(Number(said))).toBe(false);
  } finally {
    parent.kill('SIGKILL');
    await rm(data, { recursive: true, force: true });
  }
});
