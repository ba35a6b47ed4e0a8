import type { Command } from 'commander';
import { itemKinds } from '../../hub/api/types.ts';
import { HeadgateError } from '../../lib/errors.ts';
import { stdout } from '../output.ts';

/** What may follow a chain of commands, such as "cluster add". */
interface Level {
  readonly path: string;
  readonly words: readonly string[];
}

const shells: Readonly<Record<string, (levels: readonly Level[]) => string>> = { bash, zsh, fish };

export function completion(shell: string, program: Command): void {
  const script = Object.hasOwn(shells, shell) ? shells[shell] : undefined;
  if (script === undefined) {
    throw new HeadgateError('HG2001', `no completion for shell ${JSON.stringify(shell)}`, {
      remedy: `use one of ${Object.keys(shells).join(', ')}`,
    });
  }
  const common = optionsOf(program);
  stdout.write(script(levels(program, [], common)));
}

function levels(command: Command, path: readonly string[], common: readonly string[]): readonly Level[] {
  const kinds = ['get', 'describe'].includes(command.name()) ? [...itemKinds, 'trafficpolicies', 'hostclaims'] : [];
  const words = [...command.commands.map((child) => child.name()), ...kinds, ...optionsOf(command), ...common];
  return [
    { path: path.join(' '), words: [...new Set(words)].sort() },
    ...command.commands.flatMap((child) => levels(child, [...path, child.name()], common)),
  ];
}

function optionsOf(command: Command): readonly string[] {
  return ['--help', ...command.options.flatMap((option) => option.long ?? [])];
}

/** The longest chain of leading words that is a command decides. Words are ours: letters and hyphens only. */
function bash(levels: readonly Level[]): string {
  return `# bash completion of headgate: source <(headgate completion bash)
_headgate() {
  local path="" word next
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    next="\${path:+$path }$word"
    case "$next" in
      ${paths(levels).join('|')}) path=$next ;;
    esac
  done
  case "$path" in
${levels.map(({ path, words }) => `    "${path}") next="${words.join(' ')}" ;;`).join('\n')}
  esac
  case "\${COMP_WORDS[COMP_CWORD-1]}" in
    -f|--filename|--config|--data|--join|--key-file) COMPREPLY=($(compgen -f -- "\${COMP_WORDS[COMP_CWORD]}")) ;;
    *) COMPREPLY=($(compgen -W "$next" -- "\${COMP_WORDS[COMP_CWORD]}")) ;;
  esac
}
complete -F _headgate headgate
`;
}

function zsh(levels: readonly Level[]): string {
  return `#compdef headgate
# zsh completion of headgate: source <(headgate completion zsh)
_headgate() {
  local chain="" next word
  local -a candidates
  for word in "\${(@)words[2,CURRENT-1]}"; do
    next="\${chain:+$chain }$word"
    case "$next" in
      ${paths(levels).join('|')}) chain=$next ;;
    esac
  done
  case "$chain" in
${levels.map(({ path, words }) => `    "${path}") candidates=(${words.join(' ')}) ;;`).join('\n')}
  esac
  case "\${words[CURRENT-1]}" in
    -f|--filename|--config|--data|--join|--key-file) _files ;;
    *) compadd -- $candidates ;;
  esac
}
compdef _headgate headgate
`;
}

function fish(levels: readonly Level[]): string {
  const lines = levels.flatMap(({ path, words }) => {
    const here =
      path === ''
        ? '__fish_use_subcommand'
        : path
            .split(' ')
            .map((word) => `__fish_seen_subcommand_from ${word}`)
            .join('; and ');
    return words.map((word) =>
      word.startsWith('--')
        ? `complete -c headgate -n '${here}' -l ${word.slice(2)}`
        : `complete -c headgate -f -n '${here}' -a ${word}`,
    );
  });
  return `# fish completion of headgate: headgate completion fish | source\n${lines.join('\n')}\n`;
}

function paths(levels: readonly Level[]): readonly string[] {
  return levels.filter(({ path }) => path !== '').map(({ path }) => `"${path}"`);
}
