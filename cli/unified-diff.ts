/** Lines of context around a change. */
const CONTEXT = 3;

type Edit = { readonly mark: ' ' | '-' | '+'; readonly line: string };

/** Unified diff of two texts; empty when they are equal. For objects of some hundred lines: O(n · m). */
export function unifiedDiff(oldName: string, newName: string, before: string, after: string): string {
  if (before === after) return '';
  const edits = diffLines(lines(before), lines(after));
  const out = [`--- ${oldName}`, `+++ ${newName}`];
  for (const [from, to] of hunks(edits)) {
    const start = { old: 1, new: 1 };
    for (const edit of edits.slice(0, from)) {
      if (edit.mark !== '+') start.old += 1;
      if (edit.mark !== '-') start.new += 1;
    }
    const hunk = edits.slice(from, to);
    const size = { old: count(hunk, '+'), new: count(hunk, '-') };
    out.push(`@@ -${range(start.old, size.old)} +${range(start.new, size.new)} @@`);
    for (const { mark, line } of hunk) out.push(`${mark}${line}`);
  }
  return `${out.join('\n')}\n`;
}

function range(start: number, size: number): string {
  return `${size === 0 ? start - 1 : start},${size}`;
}

/** Lines of a hunk that are not of the other side. */
function count(hunk: readonly Edit[], other: '+' | '-'): number {
  return hunk.filter((edit) => edit.mark !== other).length;
}

function lines(text: string): string[] {
  return text === '' ? [] : text.replace(/\n$/, '').split('\n');
}

function diffLines(before: readonly string[], after: readonly string[]): readonly Edit[] {
  // common[i][j]: longest common subsequence of before[i..] and after[j..]
  const common = Array.from({ length: before.length + 1 }, () => new Uint32Array(after.length + 1));
  const at = (i: number, j: number) => common[i]?.[j] ?? 0;
  for (let i = before.length - 1; i >= 0; i -= 1) {
    const row = common[i];
    if (row === undefined) continue;
    for (let j = after.length - 1; j >= 0; j -= 1) {
      row[j] = before[i] === after[j] ? at(i + 1, j + 1) + 1 : Math.max(at(i + 1, j), at(i, j + 1));
    }
  }
  const edits: Edit[] = [];
  let [i, j] = [0, 0];
  while (i < before.length || j < after.length) {
    const [old, fresh] = [before[i], after[j]];
    if (old !== undefined && old === fresh) {
      edits.push({ mark: ' ', line: old });
      i += 1;
      j += 1;
    } else if (old !== undefined && (fresh === undefined || at(i + 1, j) >= at(i, j + 1))) {
      edits.push({ mark: '-', line: old });
      i += 1;
    } else {
      edits.push({ mark: '+', line: fresh ?? '' });
      j += 1;
    }
  }
  return edits;
}

/** [from, to) of the edits that one hunk shows. */
function hunks(edits: readonly Edit[]): [number, number][] {
  const found: [number, number][] = [];
  edits.forEach((edit, index) => {
    if (edit.mark === ' ') return;
    const [from, to] = [Math.max(0, index - CONTEXT), Math.min(edits.length, index + CONTEXT + 1)];
    const last = found.at(-1);
    if (last !== undefined && from <= last[1]) last[1] = to;
    else found.push([from, to]);
  });
  return found;
}
