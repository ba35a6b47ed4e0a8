const LONGEST = 120;

/** Text of unknown origin for a message: in quotes, printable ASCII only, at most 120 characters. */
export function quoted(text: string): string {
  const shown = text.length > LONGEST ? `${text.slice(0, LONGEST)}...` : text;
  return `"${escapeUnprintable(shown.replace(/["\\]/g, '\\$&'))}"`;
}

/** Everything but printable ASCII as \uXXXX: no control character or direction mark reaches a terminal. */
export function escapeUnprintable(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`);
}
