import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

export const root = join(import.meta.dirname, '../..');

export interface Block {
  readonly page: string;
  /** Of the line after the fence, from 1. */
  readonly line: number;
  /** What follows the fence: sh, yaml, or nothing. */
  readonly language: string;
  readonly text: string;
}

/** Every page for people, by its path from the root, ascending. */
export function pages(): readonly string[] {
  return globSync(['*.md', 'docs/**/*.md', 'deploy/*.md'], { cwd: root }).sort();
}

export function textOf(page: string): string {
  return readFileSync(join(root, page), 'utf8');
}

export function blocksOf(page: string): readonly Block[] {
  const blocks: Block[] = [];
  let open: { language: string; line: number; lines: string[] } | undefined;
  for (const [index, line] of textOf(page).split('\n').entries()) {
    const fence = /^\s*```(\w*)$/.exec(line);
    if (fence === null) open?.lines.push(line);
    else if (open === undefined) open = { language: fence[1] ?? '', line: index + 2, lines: [] };
    else {
      blocks.push({ page, line: open.line, language: open.language, text: open.lines.join('\n') });
      open = undefined;
    }
  }
  return blocks;
}

export function allBlocks(language: string): readonly Block[] {
  return pages()
    .flatMap(blocksOf)
    .filter((block) => block.language === language);
}

/** The part of a page under a heading, to the next one of its level. */
export function section(page: string, heading: string): readonly Block[] {
  const lines = textOf(page).split('\n');
  const from = lines.indexOf(heading);
  if (from === -1) throw new Error(`${page} has no ${heading}`);
  const level = `${heading.split(' ')[0]} `;
  const to = lines.findIndex((line, index) => index > from && line.startsWith(level));
  return blocksOf(page).filter(({ line }) => line > from && (to === -1 || line <= to));
}

/** Anchors of a page's headings, as GitHub makes them. */
export function anchorsOf(page: string): ReadonlySet<string> {
  const headings = [...textOf(page).matchAll(/^#+ (.*)$/gm)].map(([, text = '']) => text);
  return new Set(
    headings.map((text) =>
      text
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
        .replaceAll(/\s/g, '-'),
    ),
  );
}
