const OTHERS = new Set(['docker', 'helm', 'kubectl', 'sed']);

/** Words of each command of a text for the shell that calls `headgate`, without what precedes it. */
export function headgateCommands(text: string): readonly (readonly string[])[] {
  return simpleCommands(text).flatMap((words) => {
    // A release or an object may be called so too.
    if (OTHERS.has(words[0] ?? '')) return [];
    const at = words.findIndex((word) => word === 'headgate' || word.endsWith('/headgate'));
    return at === -1 ? [] : [words.slice(at + 1)];
  });
}

/** Enough of the shell's grammar for documentation: words, quotes, comments, separators, redirections. */
function simpleCommands(text: string): readonly (readonly string[])[] {
  const commands: string[][] = [[]];
  let afterRedirect = false;
  const tokens = text
    .replaceAll('\\\n', ' ')
    .matchAll(
      /(?<comment>(?<=^|\s)#[^\n]*)|(?<separator>\n|;|&&|\|\||\||&)|(?<redirect>\d?[<>]+)|(?<word>(?:'[^']*'|"[^"]*"|[^\s;&|<>'"])+)/gm,
    );
  for (const { groups = {} } of tokens) {
    if (groups['separator'] !== undefined) commands.push([]);
    else if (groups['redirect'] !== undefined) afterRedirect = true;
    else if (groups['word'] !== undefined) {
      if (!afterRedirect) commands.at(-1)?.push(groups['word'].replaceAll(/['"]/g, ''));
      afterRedirect = false;
    }
  }
  return commands.filter((words) => words.length > 0);
}
