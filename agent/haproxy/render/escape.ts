import { HeadgateError } from '../../../lib/errors.ts';

// One escaper per context of HAProxy's languages. NUL, CR and LF can be written in none of them.
const forbidden = /[\0\r\n]/;

function refuse(value: string, context: string): void {
  if (forbidden.test(value)) throw new HeadgateError('HG9001', `control character in ${context}`);
}

/** A word of the configuration file, strong-quoted: nothing in it is expanded (HAProxy manual, 2.2). */
export function word(value: string): string {
  refuse(value, 'a configuration word');
  return `'${value.replaceAll("'", String.raw`'\''`)}'`;
}

/** A literal inside a log-format string; quote the whole string with `word` afterwards. */
export function logFormatLiteral(value: string): string {
  refuse(value, 'a log-format string');
  return value.replaceAll('%', '%%');
}

/** One line of a map file, without its newline. The value is the rest of the line after one space. */
export function mapLine(key: string, value: string): string {
  refuse(key, 'a map key');
  refuse(value, 'a map value');
  // Blanks around key and value are not kept, and a line that starts with "#" is a comment.
  if (key === '' || /^#|[ \t\v\f]/.test(key)) throw new HeadgateError('HG9001', 'map key with blank or leading "#"');
  if (value === '' || /^[ \t]|[ \t]$/.test(value)) throw new HeadgateError('HG9001', 'map value with outer blanks');
  return `${key} ${value}`;
}

/** An argument of a runtime command. The runtime API has no quotes, only backslashes (management guide, 9.3). */
export function cliArgument(value: string): string {
  refuse(value, 'a runtime command');
  if (value === '' || value.startsWith('<<'))
    throw new HeadgateError('HG9001', 'runtime argument empty or payload mark');
  return value.replace(/[\\; \t]/g, String.raw`\$&`);
}
