import type { AddClusterRequest, AddClusterResponse, RemoveClusterResponse } from '../../hub/api/types.ts';
import { connectHub, pathOf } from '../client.ts';
import type { Globals } from '../globals.ts';
import { printJson, stdout } from '../output.ts';

export interface AddFlags {
  readonly label?: Readonly<Record<string, string>>;
  readonly role: 'cluster' | 'node';
  readonly output?: 'token' | 'json';
}

export async function addCluster(name: string, flags: AddFlags, globals: Globals): Promise<void> {
  const hub = await connectHub(globals);
  const body: AddClusterRequest = { name, role: flags.role, labels: flags.label ?? {} };
  const added = await hub.call<AddClusterResponse>('POST', pathOf('clusters'), { body });
  if (flags.output === 'token') return stdout.write(`${added.token}\n`);
  if (flags.output === 'json') return printJson(stdout, added);
  stdout.write(`${added.token}\n`);
  process.stderr.write(
    `cluster ${added.name} may join as ${added.role} with this token, once, until ${added.expires}; ` +
      'keep it in a file and start: headgate agent --join FILE\n',
  );
}

export async function removeCluster(name: string, globals: Globals): Promise<void> {
  const hub = await connectHub(globals);
  const removed = await hub.call<RemoveClusterResponse>('DELETE', pathOf('clusters', name));
  stdout.write(
    `cluster ${removed.name} removed with ${removed.ingresses} ingresses and ${removed.routes} routes ` +
      `(revision ${removed.revision})\n`,
  );
  for (const host of removed.hosts) stdout.write(`host ${host} is served by no cluster now\n`);
}
