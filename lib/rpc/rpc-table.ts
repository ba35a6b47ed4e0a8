import type { Identity } from '../identity/identity.ts';

/** Which program serves: the hub, or a cluster agent to the nodes of its cluster. */
export type ServerRole = 'hub' | 'agent';

/** Who may call; `anyone` needs no client certificate. */
export type Caller = Identity['kind'] | 'anyone';

/** Every RPC by its full method path, with who may call it at which server. What is missing here is refused. */
export const rpcTable = {
  '/headgate.v1.ReportService/Report': { hub: ['cluster'], agent: ['node'] },
  '/headgate.v1.ConfigureService/Configure': { hub: ['cluster'], agent: ['node'] },
  // Authenticated by the join token, or by the old key's signature: before there is a valid certificate.
  '/headgate.v1.EnrolmentService/Enrol': { hub: ['anyone'], agent: ['anyone'] },
  '/headgate.v1.EnrolmentService/Nonce': { hub: ['anyone'], agent: ['anyone'] },
  '/headgate.v1.EnrolmentService/Renew': { hub: ['anyone'], agent: ['anyone'] },
} as const satisfies Record<string, Record<ServerRole, readonly Caller[]>>;

export type RpcPath = keyof typeof rpcTable;

/** Whether the table lets this identity (`undefined`: no valid certificate) call the RPC at this server. */
export function mayCall(role: ServerRole, path: string, identity: Identity | undefined): boolean {
  if (!Object.hasOwn(rpcTable, path)) return false;
  const callers: readonly Caller[] = rpcTable[path as RpcPath][role];
  return callers.includes('anyone') || (identity !== undefined && callers.includes(identity.kind));
}
