import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import type {
  AddClusterRequest,
  AddClusterResponse,
  PinClusterRequest,
  PinClusterResponse,
  RemoveClusterResponse,
  RevisionResponse,
  RevokeRequest,
} from '../../hub/api/types.ts';
import { HeadgateError } from '../../lib/errors.ts';
import { connectHub, pathOf } from '../client.ts';
import type { Globals } from '../globals.ts';
import { printJson, stdout } from '../output.ts';

export interface AddFlags {
  readonly label?: Readonly<Record<string, string>>;
  readonly role: 'cluster' | 'node';
  readonly issuer?: string;
  readonly jwks?: string;
  readonly serviceAccount?: string;
  readonly output?: 'token' | 'json';
}

export interface RevokeFlags {
  readonly node?: string;
  readonly serial?: string;
}

export async function addCluster(name: string, flags: AddFlags, globals: Globals): Promise<void> {
  if (flags.issuer !== undefined || flags.jwks !== undefined || flags.serviceAccount !== undefined) {
    return await pinCluster(name, flags, globals);
  }
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

/** Prints what the agent needs to know the fleet by: no secret. */
async function pinCluster(
  name: string,
  { issuer, jwks, serviceAccount, role, label, output }: AddFlags,
  globals: Globals,
): Promise<void> {
  if (issuer === undefined || jwks === undefined || role === 'node') {
    throw new HeadgateError('HG2001', '--issuer and --jwks go together, for the role cluster', {
      remedy: 'node agents need no pin at the hub: their cluster agent asks its own API server',
    });
  }
  const body: PinClusterRequest = { issuer, jwks: await readJwks(jwks), serviceAccount, labels: label ?? {} };
  const hub = await connectHub(globals);
  const pinned = await hub.call<PinClusterResponse>('PUT', pathOf('clusters', name, 'issuer'), { body });
  if (output === 'json') return printJson(stdout, pinned);
  stdout.write(output === 'token' ? `${pinned.hubSpki}\n` : `--hub-spki ${pinned.hubSpki}\n`);
  process.stderr.write(
    `cluster ${pinned.name} may join by tokens of ServiceAccount ${pinned.serviceAccount} with the audience ` +
      `${pinned.audience}; start: headgate agent --service-account-token FILE --hub-spki ${pinned.hubSpki}\n`,
  );
}

async function readJwks(file: string): Promise<PinClusterRequest['jwks']> {
  try {
    return z.object({ keys: z.array(z.unknown()) }).parse(JSON.parse(await readFile(file, 'utf8')));
  } catch (cause) {
    throw new HeadgateError('HG2001', `--jwks ${file} holds no key set`, {
      remedy: 'write it with: kubectl get --raw /openid/v1/jwks',
      cause,
    });
  }
}

export async function revoke(name: string, flags: RevokeFlags, globals: Globals): Promise<void> {
  const hub = await connectHub(globals);
  const body: RevokeRequest = { node: flags.node, serial: flags.serial };
  const { revision } = await hub.call<RevisionResponse>('POST', pathOf('clusters', name, 'revocations'), { body });
  const what = flags.node === undefined ? `certificate ${flags.serial ?? ''}` : `node ${flags.node}`;
  stdout.write(`${what} of cluster ${name} revoked (revision ${revision})\n`);
}

export async function readmit(name: string, { node }: { readonly node: string }, globals: Globals): Promise<void> {
  const hub = await connectHub(globals);
  const path = pathOf('clusters', name, 'revocations', node);
  const { revision } = await hub.call<RevisionResponse>('DELETE', path);
  stdout.write(`node ${node} of cluster ${name} may enrol again (revision ${revision})\n`);
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
