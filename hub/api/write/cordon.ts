import { HeadgateError } from '../../../lib/errors.ts';
import type { HubView } from '../../view.ts';
import type { Caller } from '../caller.ts';
import type { RevisionResponse } from '../types.ts';
import type { PolicyWriter } from './policy-writer.ts';

type ClusterFields = Readonly<Record<string, unknown>>;

/** Cordons a cluster or takes the cordon away, in its Cluster object. @throws HeadgateError HG2007 */
export async function setCordon(
  view: HubView,
  writer: PolicyWriter,
  caller: Caller,
  name: string,
  cordoned: boolean,
): Promise<RevisionResponse> {
  requireMember(view, name);
  return await editCluster(view, writer, caller, name, (spec) => {
    if ((spec['cordoned'] ?? false) === cordoned) return spec;
    return { ...spec, cordoned };
  });
}

/** Adds labels to a cluster's object; those it has otherwise stay. */
export async function addLabels(
  view: HubView,
  writer: PolicyWriter,
  caller: Caller,
  name: string,
  labels: Readonly<Record<string, string>>,
): Promise<RevisionResponse> {
  return await editCluster(view, writer, caller, name, (spec) => {
    const old = (spec['labels'] ?? {}) as Readonly<Record<string, string>>;
    return { ...spec, labels: { ...old, ...labels } };
  });
}

export function requireMember(view: HubView, name: string): void {
  if (view.state().members.has(name)) return;
  throw new HeadgateError('HG2007', `there is no cluster ${JSON.stringify(name.slice(0, 63))}`, {
    remedy: 'see headgate cluster list',
  });
}

async function editCluster(
  view: HubView,
  writer: PolicyWriter,
  caller: Caller,
  name: string,
  edit: (spec: ClusterFields) => ClusterFields,
): Promise<RevisionResponse> {
  const change = await writer.change(caller, { kind: 'Cluster', namespace: '', name }, (before) => {
    const spec = edit((before ?? {}) as ClusterFields);
    // A cluster without an object has the defaults; nothing is written to say them again.
    return before === undefined && Object.keys(spec).length === 0 ? undefined : spec;
  });
  const revision = (change.revision ?? view.state().revision).toString();
  return { revision, changed: change.revision !== undefined };
}
