import { existsSync } from 'node:fs';
import { isIP } from 'node:net';
import { hostname } from 'node:os';
import type { Command } from 'commander';
import { z } from 'zod';
import type { AgentOptions, AgentRole } from '../../agent/options.ts';
import { systemClock } from '../../lib/clock.ts';
import { HeadgateError } from '../../lib/errors.ts';
import type { ObjectName } from '../../lib/kubernetes/index.ts';
import { nodeIdOf } from '../../lib/identity/node-id.ts';
import { createLog } from '../../lib/log.ts';
import { withConfigFile } from '../config-file.ts';
import { address, addressRanges, label, parseFlags } from '../flags.ts';
import type { Globals } from '../globals.ts';
import { stdout } from '../output.ts';
import { PATIENCE, printReady, untilSignal } from '../run.ts';

const roleNames: readonly AgentRole[] = ['cluster', 'node'];

const secretName = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?\/[a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?$/;

const host = z.string().regex(/^([a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)(\.[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?)*$/);

/** RFC 1123 subdomain, as Kubernetes names nodes. */
const nodeNamePattern = /^[a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?$/;

const agentFlags = z.object({
  hub: z
    .string()
    .transform((text) => text.split(','))
    .pipe(z.array(address).min(1)),
  cluster: label,
  node: z.string().regex(nodeNamePattern, 'is the name of a node').default(nodeName()).transform(nodeIdOf),
  roles: z
    .string()
    .transform((text) => text.split(','))
    .pipe(z.array(z.enum(roleNames as [AgentRole, ...AgentRole[]], 'is cluster, node, or cluster,node')).min(1)),
  source: z.string().optional(),
  kubeconfig: z.string().min(1).optional(),
  namespaces: z
    .string()
    .transform((text) => text.split(','))
    .pipe(z.array(label).min(1))
    .optional(),
  lease: objectName('LEASE').optional(),
  publishService: objectName('SERVICE').optional(),
  publishStatusAddress: z
    .string()
    .transform((text) => text.split(','))
    .pipe(z.array(z.union([z.ipv4(), z.ipv6(), host], 'is IP addresses or host names, separated by commas')).min(1))
    .optional(),
  defaultCertificate: z.string().regex(secretName, 'is NAMESPACE/SECRET').optional(),
  data: z.string().min(1),
  join: z.string().optional(),
  serviceAccountToken: z.string().min(1).optional(),
  hubSpki: z
    .string()
    .regex(/^[A-Za-z0-9_-]{43}$/, 'is a hash as cluster add prints it')
    .optional(),
  nodeServiceAccount: z.string().regex(secretName, 'is NAMESPACE/NAME').optional(),
  listenHttp: address,
  listenHttps: address,
  listenGateway: address,
  // Other clusters' HAProxies resolve no name for a server that comes at runtime.
  advertise: address
    .refine(({ host }) => isIP(host) !== 0, 'needs an IP address, for example 10.0.0.7:7444')
    .optional(),
  listenNodes: address.optional(),
  proxyProtocol: z.boolean().default(false),
  tlsPassthrough: z.boolean().default(false),
  trustedHops: addressRanges.default([]),
  keyFile: z.string().optional(),
  ops: address,
  haproxy: z.string().min(1),
  haproxyExternal: z.boolean().default(false),
  drain: z.coerce.number('is seconds').min(0).max(7_200),
});

export const renderFlags = agentFlags.pick({
  cluster: true,
  node: true,
  data: true,
  listenHttp: true,
  listenHttps: true,
  listenGateway: true,
  proxyProtocol: true,
  tlsPassthrough: true,
  trustedHops: true,
  keyFile: true,
  haproxy: true,
});

export async function agent(globals: Globals, command: Command): Promise<void> {
  const { log, options } = {
    log: createLog('agent', globals.verbose === true ? 'debug' : 'info'),
    options: agentOptions(await withConfigFile(command, globals.config), process.env['HEADGATE_JOIN']),
  };
  // A token in the environment is not for HAProxy or anything else that is started.
  delete process.env['HEADGATE_JOIN'];
  const { runAgent } = await import('../../agent/agent.ts');
  await untilSignal(
    async (signal) => {
      await runAgent(options, { log, clock: systemClock, signal, ready: (fields) => printReady('agent', fields) });
    },
    { patience: PATIENCE + options.drain * 1_000 },
  );
}

export async function agentRender(globals: Globals, command: Command): Promise<void> {
  const log = createLog('agent', globals.verbose === true ? 'debug' : 'info');
  const { keyFile, ...flags } = parseFlags(renderFlags, await withConfigFile(command, globals.config));
  const { renderNode } = await import('../../agent/node/render-node.ts');
  await untilSignal(async (signal) => {
    await renderNode({ ...flags, keyFile }, { log, clock: systemClock, signal });
  });
}

/** @throws HeadgateError HG2001 */
export function agentOptions(given: unknown, token: string | undefined): AgentOptions {
  const { hub, roles, source, join, serviceAccountToken, hubSpki, ...rest } = parseFlags(agentFlags, given);
  const { kubeconfig, namespaces, publishService, publishStatusAddress, ...flags } = rest;
  const from = sourceOf(source, kubeconfig, namespaces, roles.includes('cluster'));
  if (flags.defaultCertificate !== undefined && !roles.includes('cluster')) {
    throw new HeadgateError('HG2001', '--default-certificate is for the cluster role', {
      remedy: 'give it to the cluster agent, whose nodes get the certificate from it',
    });
  }
  if (flags.lease !== undefined && (from?.kind !== 'kubernetes' || roles.includes('node'))) {
    throw new HeadgateError('HG2001', '--lease is for --roles cluster with --source kubernetes', {
      remedy: 'leave it out, or run the node role in processes of its own',
    });
  }
  if (flags.drain > 0 && !flags.haproxyExternal) {
    throw new HeadgateError('HG2001', '--drain is for --haproxy-external', {
      remedy: 'leave it out: a HAProxy that the agent started goes on serving without it',
    });
  }
  return {
    ...flags,
    hubs: hub,
    roles: new Set(roles),
    source: from,
    lease: flags.lease,
    publish: publishOf(from, publishService, publishStatusAddress),
    join: joinOf(join, token, serviceAccountToken, hubSpki),
    nodeServiceAccount: flags.nodeServiceAccount,
    advertise: flags.advertise,
    defaultCertificate: flags.defaultCertificate,
    listenNodes: flags.listenNodes,
    keyFile: flags.keyFile,
  };
}

/** @throws HeadgateError HG2001 */
function joinOf(
  file: string | undefined,
  token: string | undefined,
  serviceAccountToken: string | undefined,
  rootSpki: string | undefined,
): AgentOptions['join'] {
  if (serviceAccountToken === undefined && rootSpki === undefined) {
    return file !== undefined ? { file } : token === undefined ? undefined : { token };
  }
  if (serviceAccountToken === undefined || rootSpki === undefined || file !== undefined) {
    throw new HeadgateError('HG2001', '--service-account-token and --hub-spki go together, without --join', {
      remedy: 'headgate cluster add NAME --issuer URL --jwks FILE prints the hash',
    });
  }
  return { serviceAccountToken, rootSpki };
}

function sourceOf(
  source: string | undefined,
  kubeconfig: string | undefined,
  namespaces: readonly string[] | undefined,
  needed: boolean,
): AgentOptions['source'] {
  if (!needed) {
    if (source === undefined) return undefined;
    throw new HeadgateError('HG2001', '--source is for the cluster role', { remedy: 'leave it out, or add the role' });
  }
  const remedy = 'give kubernetes or directory:DIR';
  if (source === undefined) throw new HeadgateError('HG2001', '--source is missing', { remedy });
  if (source === 'kubernetes') return { kind: 'kubernetes', kubeconfig, namespaces: namespaces ?? [] };
  if (source.startsWith('directory:') && source !== 'directory:') {
    return { kind: 'directory', folder: source.slice('directory:'.length) };
  }
  throw new HeadgateError('HG2001', `--source ${source} is unknown`, { remedy });
}

/** Only an API server keeps the status of an Ingress. */
function publishOf(
  source: AgentOptions['source'],
  service: ObjectName | undefined,
  addresses: readonly string[] | undefined,
): AgentOptions['publish'] {
  if (service !== undefined && addresses !== undefined) {
    throw new HeadgateError('HG2001', '--publish-service and --publish-status-address exclude each other', {
      remedy: 'give one of them',
    });
  }
  if (source?.kind !== 'kubernetes') return undefined;
  if (service !== undefined) return { kind: 'service', service };
  return addresses === undefined ? { kind: 'nodes' } : { kind: 'addresses', addresses };
}

/** A flag's NAMESPACE/NAME. */
function objectName(word: string) {
  return z
    .string()
    .regex(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?\/[a-z0-9]([-.a-z0-9]{0,251}[a-z0-9])?$/, `is NAMESPACE/${word}`)
    .transform((text): ObjectName => {
      const [namespace = '', name = ''] = text.split('/');
      return { namespace, name };
    });
}

/** The host's name as a label. */
function nodeName(): string {
  const name = hostname()
    .toLowerCase()
    .split('.')[0]
    ?.replaceAll(/[^a-z0-9-]/g, '-')
    .replaceAll(/^-+|-+$/g, '');
  return name === undefined || name === '' ? 'node' : name.slice(0, 63);
}

export async function agentStop(flags: { readonly data?: string }): Promise<void> {
  const { data } = parseFlags(z.object({ data: z.string().min(1) }), flags);
  if (!existsSync(data)) {
    throw new HeadgateError('HG2001', `--data ${data} is not there`, {
      remedy: 'give the folder that the agent was started with',
    });
  }
  const { stopAgent } = await import('../../agent/stop.ts');
  const ended = await stopAgent(data);
  stdout.write(ended.length === 0 ? 'nothing runs there\n' : `ended ${ended.join(' and ')}\n`);
}
