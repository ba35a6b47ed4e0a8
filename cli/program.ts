import { Command, InvalidArgumentError, Option } from 'commander';
import { VERSION } from '../lib/version.ts';
import type { AddFlags, RevokeFlags } from './commands/cluster.ts';
import type { DemoFlags } from './commands/demo.ts';
import type { ExplainFlags } from './commands/explain.ts';
import type { GetFlags } from './commands/get.ts';
import type { FileFlags } from './commands/apply.ts';
import { globals } from './globals.ts';
import { formats } from './output.ts';
import { withStoreOptions } from './store-options.ts';

/**
 * The whole command line. A command's module is loaded when the command runs, so that `--help` and completion
 * never load gRPC or a store.
 */
export function createProgram(): Command {
  const program = new Command('headgate')
    .description('One front door for many Kubernetes clusters')
    .version(VERSION, '--version', 'print the version')
    .option('--config <file>', 'client configuration (HEADGATE_CONFIG); for hub and agent their own')
    .option('--context <name>', 'context of the client configuration')
    .option('-v, --verbose', 'errors with their chain of causes')
    .configureHelp({ showGlobalOptions: true })
    .exitOverride()
    .configureOutput({ writeErr: () => undefined, outputError: () => undefined });
  longRunning(program);
  fleet(program);
  objects(program);
  questions(program);
  traffic(program);
  local(program);
  return program;
}

function longRunning(program: Command): void {
  program
    .command('demo')
    .description('run a hub and several clusters on this machine')
    .option('--clusters <names>', 'clusters, separated by commas', 'eu,us,ap')
    .option('--data <dir>', 'folder to keep everything in')
    .option('--plain', 'lines in place of a live picture')
    .option('--script', 'play everything by itself and check every promise')
    .option('--sabotage <promise>', 'break what one promise promises')
    .option('--keep', 'keep the folder afterwards')
    .action(async (flags: DemoFlags) => (await import('./commands/demo.ts')).demo(flags));

  withStoreOptions(
    program
      .command('hub')
      .description('run the control plane')
      .option('--data <dir>', 'folder of the store and of admin.yaml, private to this user'),
  )
    .option('--kek-file <file>', 'key that seals the private keys, 32 bytes in base64; default: kek.key in --data')
    .option('--grpc <address>', 'where agents connect', '127.0.0.1:7443')
    .option('--http <address>', 'API', '127.0.0.1:7480')
    .option('--policies <source>', 'kubernetes: custom resources of the cluster that the hub runs in are policies too')
    .option('--kubeconfig <file>', 'of that cluster; default: the one it runs in, then KUBECONFIG')
    .option('--ops <address>', '/livez, /readyz, /metrics', '127.0.0.1:7481')
    .action(async (_flags: unknown, command: Command) =>
      (await import('./commands/hub.ts')).hub(globals(command), command),
    );

  const agent = program
    .command('agent')
    .description('run the agent of a cluster, of a node, or of both')
    .option('--hub <addresses>', 'hubs, separated by commas; for a node agent apart its cluster agent')
    .option('--cluster <name>', 'the id of this cluster')
    .option('--node <name>', 'the id of this node')
    .option('--roles <roles>', 'cluster, node, or both', 'cluster,node')
    .option('--source <source>', 'kubernetes, or directory:DIR')
    .option('--kubeconfig <file>', 'how to reach the API server; default: the cluster it runs in, then KUBECONFIG')
    .option('--namespaces <names>', 'namespaces to watch, separated by commas; default: all')
    .option('--lease <lease>', 'NAMESPACE/NAME of the Lease that elects one of several cluster agents')
    .option('--publish-service <service>', 'NAMESPACE/NAME of the Service whose addresses Ingresses show')
    .option('--publish-status-address <addresses>', 'addresses that Ingresses show; default: those of the nodes')
    .option('--default-certificate <secret>', 'NAMESPACE/SECRET for clients that ask for no name of the fleet')
    .option('--data <dir>', 'folder of identity and ledger, private to this user')
    .option('--join <file>', 'file with a join token (HEADGATE_JOIN); needed until there is an identity')
    .option('--service-account-token <file>', 'projected token that the cluster or node enrols with, with --hub-spki')
    .option('--hub-spki <hash>', 'hash of the key of the root of the fleet, as cluster add prints it')
    .option('--node-service-account <name>', 'NAMESPACE/NAME that node agents apart enrol as')
    .option('--listen-http <address>', 'plain traffic', '0.0.0.0:8080')
    .option('--listen-https <address>', 'TLS traffic', '0.0.0.0:8443')
    .option('--listen-gateway <address>', 'traffic from other clusters', '0.0.0.0:7444')
    .option('--advertise <address>', 'where other clusters reach the gateway listener')
    .option('--listen-nodes <address>', 'where node agents apart connect')
    .option('--proxy-protocol', 'clients come with PROXY protocol')
    .option('--trusted-hops <ranges>', 'CIDR[,CIDR…] of proxies whose X-Forwarded-* (and PROXY protocol) is believed')
    .option('--tls-passthrough', 'hosts may pass TLS through')
    .option('--key-file <file>', 'key that seals private keys at rest')
    .option('--ops <address>', '/livez, /readyz, /metrics', '127.0.0.1:7482')
    .option('--haproxy <path>', 'HAProxy to run', 'haproxy')
    .option('--haproxy-external', 'HAProxy is started and ended by somebody else, in DIR/haproxy')
    .option('--drain <seconds>', 'with it: stay so long after SIGTERM, not ready, while HAProxy drains', '0')
    .action(async (_flags: unknown, command: Command) =>
      (await import('./commands/agent.ts')).agent(globals(command), command),
    );
  agent
    .command('render')
    .description('lay out the files of a HAProxy that somebody else starts, from the ledger, and end')
    // The agent's own flags, so that both can be given the same.
    .action(async (_flags: unknown, command: Command) =>
      (await import('./commands/agent.ts')).agentRender(globals(command), agent),
    );
  agent
    .command('stop')
    .description('end the agent of a data folder and its HAProxy')
    .action(async (_flags: unknown, command: Command) =>
      (await import('./commands/agent.ts')).agentStop(command.optsWithGlobals<{ data?: string }>()),
    );
}

function fleet(program: Command): void {
  const cluster = program.command('cluster').description('clusters of the fleet');
  cluster
    .command('add <name>')
    .description('let a cluster join: prints a token that is good once and for an hour')
    .option('--label <k=v>', 'label for selectors; may be repeated', pairs)
    .addOption(new Option('--role <role>', 'who joins with the token').choices(['cluster', 'node']).default('cluster'))
    .option('--issuer <url>', 'issuer of the ServiceAccount tokens of the cluster, in place of a join token')
    .option('--jwks <file>', 'its public keys; again to pin rotated ones')
    .option('--service-account <name>', 'NAMESPACE/NAME that cluster agents run as (headgate/headgate-cluster-agent)')
    .addOption(new Option('-o, --output <format>', 'token prints nothing else').choices(['token', 'json']))
    .action(async (name: string, flags: AddFlags, command: Command) =>
      (await import('./commands/cluster.ts')).addCluster(name, flags, globals(command)),
    );
  cluster
    .command('list')
    .description('as get clusters')
    .addOption(output())
    .action(async (flags: GetFlags, command: Command) =>
      (await import('./commands/get.ts')).get('clusters', undefined, flags, globals(command)),
    );
  cluster
    .command('revoke <name>')
    .description('revoke a node or a certificate of a cluster and close its links')
    .option('--node <node>', 'every certificate of the node; it gets no new one until it is readmitted')
    .option('--serial <hex>', 'one certificate')
    .action(async (name: string, flags: RevokeFlags, command: Command) =>
      (await import('./commands/cluster.ts')).revoke(name, flags, globals(command)),
    );
  cluster
    .command('readmit <name>')
    .description('let a revoked node enrol again')
    .requiredOption('--node <node>', 'the node')
    .action(async (name: string, flags: { readonly node: string }, command: Command) =>
      (await import('./commands/cluster.ts')).readmit(name, flags, globals(command)),
    );
  cluster
    .command('remove <name>')
    .description('take a cluster out of the fleet and close its links')
    .action(async (name: string, _flags: unknown, command: Command) =>
      (await import('./commands/cluster.ts')).removeCluster(name, globals(command)),
    );

  const guard = program.command('guard').description('removals that are held');
  guard
    .command('list')
    .description('what is held and why')
    .addOption(new Option('-o, --output <format>').choices(['table', 'json', 'yaml']).default('table'))
    .action(async (flags: GetFlags, command: Command) =>
      (await import('./commands/guard.ts')).listGuards(flags, globals(command)),
    );
  guard
    .command('confirm <id>')
    .description('let a held removal happen')
    .action(async (id: string, _flags: unknown, command: Command) =>
      (await import('./commands/guard.ts')).confirmGuard(id, globals(command)),
    );
}

function objects(program: Command): void {
  const verbs = {
    apply: 'create or change Headgate objects at the hub',
    diff: 'show what apply would change; exit 1 when it would change anything',
    delete: 'delete Headgate objects at the hub',
  } as const;
  for (const [verb, description] of Object.entries(verbs)) {
    const command = program
      .command(verb)
      .description(description)
      .requiredOption('-f, --filename <path>', 'file, folder or - for standard input; may be repeated', repeated);
    if (verb === 'apply') command.addOption(new Option('--dry-run <where>', 'check only').choices(['server']));
    if (verb !== 'diff') command.addOption(new Option('-o, --output <format>').choices(['json', 'name']));
    command.action(async (flags: FileFlags, command: Command) =>
      (await import('./commands/apply.ts')).writeObjects(verb as keyof typeof verbs, flags, globals(command)),
    );
  }
}

function questions(program: Command): void {
  program
    .command('get <kind> [name]')
    .description(
      'list routes, hosts, ingresses, clusters, nodes, policies (or a kind of policy), certificates or events',
    )
    .option('-n, --namespace <namespace>', 'only this namespace')
    .option('-A, --all-namespaces', 'every namespace, as without -n')
    .addOption(output())
    .option('-w, --watch', 'print what changes until interrupted')
    .action(async (kind: string, name: string | undefined, flags: GetFlags, command: Command) =>
      (await import('./commands/get.ts')).get(kind, name, flags, globals(command)),
    );
  program
    .command('describe <kind> <name>')
    .description('everything about one object')
    .option('-n, --namespace <namespace>', 'its namespace; the name may also be NAMESPACE/NAME')
    .addOption(new Option('-o, --output <format>').choices(['json', 'yaml']))
    .action(async (kind: string, name: string, flags: GetFlags, command: Command) =>
      (await import('./commands/describe.ts')).describe(kind, name, flags, globals(command)),
    );
  program
    .command('explain <url>')
    .description('which route, policy, cluster and backend a request gets, and why')
    .option('--cluster <name>', 'the cluster where the request enters; each when absent')
    .option('--method <method>', 'request method', 'GET')
    .option('--header <k=v>', 'request header; may be repeated', repeated)
    .addOption(new Option('-o, --output <format>').choices(['json', 'yaml']))
    .action(async (url: string, flags: ExplainFlags, command: Command) =>
      (await import('./commands/explain.ts')).explain(url, flags, globals(command)),
    );
  program
    .command('status')
    .description('the fleet at a glance, what needs attention first')
    .addOption(new Option('-o, --output <format>').choices(['json', 'yaml']))
    .action(async (flags: GetFlags, command: Command) =>
      (await import('./commands/status.ts')).status(flags, globals(command)),
    );
}

function traffic(program: Command): void {
  program
    .command('weights <target> <weight...>')
    .description('share a HOST or HOST/PATH between clusters: eu=90 us=10')
    .action(async (target: string, weights: string[], _flags: unknown, command: Command) =>
      (await import('./commands/weights.ts')).weights(target, weights, globals(command)),
    );
  for (const verb of ['cordon', 'uncordon'] as const) {
    program
      .command(`${verb} <cluster>`)
      .description(verb === 'cordon' ? 'send a cluster no new traffic' : 'let a cluster take traffic again')
      .action(async (name: string, _flags: unknown, command: Command) =>
        (await import('./commands/cordon.ts')).cordon(name, verb === 'cordon', globals(command)),
      );
  }
}

function local(program: Command): void {
  program
    .command('check')
    .description('whether this machine and the hub are fit, each failure with its remedy')
    .option('--haproxy <path>', 'HAProxy to look at', 'haproxy')
    .addOption(new Option('-o, --output <format>').choices(['json']))
    .action(async (flags: { haproxy: string; output?: string }, command: Command) =>
      (await import('./commands/check.ts')).check(flags, globals(command)),
    );
  withStoreOptions(
    program
      .command('store')
      .description('the store, without a hub')
      .command('epoch')
      .description('begin a new epoch after a backup was put back, so that agents take it')
      .option('--data <dir>', 'data folder of the hub with the embedded store, which must not run'),
  )
    .option('--new', 'begin a new epoch')
    .action(async (flags: unknown) => (await import('./commands/store.ts')).storeEpoch(flags));
  program
    .command('completion <shell>')
    .description('script for bash, zsh or fish that completes commands and flags')
    .action(async (shell: string) => (await import('./commands/completion.ts')).completion(shell, program));
}

function output(): Option {
  return new Option('-o, --output <format>', 'format').choices(formats).default('table');
}

function repeated(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value];
}

function pairs(value: string, before: Readonly<Record<string, string>> = {}): Readonly<Record<string, string>> {
  const at = value.indexOf('=');
  if (at < 1) throw new InvalidArgumentError('It is not KEY=VALUE.');
  return { ...before, [value.slice(0, at)]: value.slice(at + 1) };
}
