import { HeadgateError } from '../../../lib/errors.ts';
import type { Command } from '../render/commands.ts';

/** Commands must fit `tune.bufsize` (16,384 bytes); 2.6 drops longer ones without a word. */
const MAX_COMMAND = 14 * 1024;

/**
 * The bytes to send, ended. A last check behind the escaper: what would run as more than one command, or end
 * its payload early, is a mistake of ours and is not sent. HAProxy manual (management), section 9.3.
 *
 * @throws HG9001 for a command that is not exactly one, HG5005 for one that is too long.
 */
export function encodeCommand({ text, payload }: Command): string {
  const lines = text.split('\n');
  const [line = '', ...rest] = lines;
  const wrong =
    /[\0\r]/.test(text) ||
    hasBareSemicolon(line) ||
    line.endsWith('<<') !== payload ||
    (payload ? rest.length === 0 || rest.includes('') : rest.length > 0);
  if (wrong) {
    throw new HeadgateError('HG9001', `a runtime command is not one command: ${JSON.stringify(line.slice(0, 80))}`);
  }
  const ended = payload ? `${text}\n\n` : `${text}\n`;
  const bytes = Buffer.byteLength(ended);
  if (bytes > MAX_COMMAND) {
    throw new HeadgateError('HG5005', `${JSON.stringify(line.slice(0, 80))} takes ${bytes} bytes, over ${MAX_COMMAND}`);
  }
  return ended;
}

/** The CLI has no quotes: only a backslash keeps `;` from starting a second command. */
function hasBareSemicolon(line: string): boolean {
  for (let at = 0; at < line.length; at++) {
    if (line[at] === '\\') at++;
    else if (line[at] === ';') return true;
  }
  return false;
}

/** A query: anything but an error message is an answer. */
export function query(text: string): Command {
  return { text, payload: false, accepts: /^(?!Unknown |Can't |Couldn't |No such |Permission denied)/ };
}
