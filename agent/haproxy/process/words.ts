import { HeadgateError } from '../../../lib/errors.ts';

/** HAProxy's own words for what is wrong, without its decoration, on one line. @param last how many, from the end */
export function alerts(output: string, last?: number): string {
  return (
    output
      // 3.2 goes on in indented lines.
      .split(/\n(?![ \t])/)
      // Of servers, not of HAProxy.
      .filter((line) => line.includes('[ALERT]') && !line.includes('has no server available'))
      .map((line) =>
        line
          .replace(/^.*\[ALERT\]\s*(\(\d+\)\s*)?:?\s*/, '')
          .replaceAll(/\s*\n\s*/g, ' ')
          .trim(),
      )
      .slice(...(last === undefined ? [0, 5] : [-last]))
      .join(' | ')
  );
}

/** @param words HAProxy's, of a start that failed */
export function startError(words: string, cause: unknown): HeadgateError {
  const [, address] = /cannot bind socket[^[]*\[(?:fd \d+,\s*)?([^\]]*)\]/i.exec(words) ?? [];
  if (address !== undefined) {
    return new HeadgateError('HG2002', `cannot listen on ${address}: ${words}`, {
      remedy: 'stop what holds the port, or give another address',
      cause,
    });
  }
  if (words === '') return HeadgateError.from(cause, 'HG5004');
  return new HeadgateError('HG5002', `HAProxy does not start: ${words}`, { cause });
}
