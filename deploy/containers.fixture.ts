import type { Command } from 'commander';
import { parseAllDocuments } from 'yaml';
import { agentOptions, renderFlags } from '../cli/commands/agent.ts';
import { hubFlags } from '../cli/commands/hub.ts';
import { parseFlags } from '../cli/flags.ts';
import { createProgram } from '../cli/program.ts';

export interface Container {
  /** `<workload>/<container>`. */
  readonly place: string;
  /** In place of the image's entry point. */
  readonly command: readonly string[] | undefined;
  readonly args: readonly string[];
}

interface ContainerSpec {
  readonly name: string;
  readonly command?: readonly string[];
  readonly args?: readonly string[];
}

interface Workload {
  readonly metadata: { readonly name: string };
  readonly spec?: {
    readonly template?: {
      readonly spec: {
        readonly initContainers?: readonly ContainerSpec[];
        readonly containers: readonly ContainerSpec[];
      };
    };
  };
}

/** Every container, init containers first, of manifests as Helm renders them. */
export function containersOf(manifests: string): readonly Container[] {
  return parseAllDocuments(manifests).flatMap((document) => {
    const { metadata, spec } = (document.toJSON() as Workload | null) ?? { metadata: { name: '' } };
    const pod = spec?.template?.spec;
    return [...(pod?.initContainers ?? []), ...(pod?.containers ?? [])].map(({ name, command, args = [] }) => ({
      place: `${metadata.name}/${name}`,
      command,
      args,
    }));
  });
}

/** `args` as the kubelet gives them: `$(NAME)` is the environment's. */
export function withEnvironment(args: readonly string[], values: Readonly<Record<string, string>>): readonly string[] {
  return args.map((arg) =>
    arg.replaceAll(/\$\((\w+)\)/g, (_, name: string) => {
      const value = values[name];
      if (value === undefined) throw new Error(`the pod has no ${name}`);
      return value;
    }),
  );
}

/**
 * Takes a command line as the program itself does, down to the meaning of each flag, but runs nothing.
 * @throws HeadgateError HG2001, or commander's own error
 */
export async function understand(args: readonly string[]): Promise<void> {
  const program = createProgram();
  let understood = false;
  const stand = (path: readonly string[], check: (flags: unknown) => unknown): void => {
    let command: Command | undefined = program;
    for (const name of path) command = command?.commands.find((one) => one.name() === name);
    command?.action((_flags: unknown, given: Command) => {
      check(path.at(-1) === 'render' ? given.parent?.opts() : given.opts());
      understood = true;
    });
  };
  stand(['hub'], (flags) => parseFlags(hubFlags, flags));
  stand(['agent'], (flags) => agentOptions(flags, undefined));
  stand(['agent', 'render'], (flags) => parseFlags(renderFlags, flags));
  await program.parseAsync(args, { from: 'user' });
  if (!understood) throw new Error(`headgate ${args.join(' ')} is none of the commands that containers run`);
}
