import type { CordonRequest, RevisionResponse } from '../../hub/api/types.ts';
import { connectHub, pathOf } from '../client.ts';
import type { Globals } from '../globals.ts';
import { stdout } from '../output.ts';

export async function cordon(name: string, cordoned: boolean, globals: Globals): Promise<void> {
  const hub = await connectHub(globals);
  const body: CordonRequest = { cordoned };
  const answer = await hub.call<RevisionResponse>('PUT', pathOf('clusters', name, 'cordon'), { body });
  const state = cordoned ? 'cordoned' : 'uncordoned';
  stdout.write(`cluster ${name} ${answer.changed ? state : `already ${state}`} (revision ${answer.revision})\n`);
}
