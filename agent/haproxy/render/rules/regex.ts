import { bucketDigits, mapFile, HOST_MARK, regexBuckets } from '../../model/names.ts';
import { REGEX_LETTERS } from '../../model/regex-entries.ts';
import { elseAnyHost, findPath } from './routing.ts';

const EXACT = `{ var(txn.host),concat(,txn.path,'#'),map_str(${mapFile('regex')}) -m found }`;

/** Whatever is of no marked host is done with the rules here. */
export const unmarked = `http-request allow if !{ var(txn.host) -m beg ${HOST_MARK} }`;

/**
 * For hosts with regular expressions alone, so these rules stand last.
 * A host's expressions are one entry of one bucket; the entries of other hosts in the bucket begin with another host
 * id and fail at their first characters.
 * @param again what follows from the route, and was done for none: nothing is known of it yet.
 */
export function regexHosts(again: readonly string[]): string[] {
  return [
    `http-request set-var(txn.host) var(txn.host),bytes(${HOST_MARK.length})`,
    ...regexBuckets.map(
      (bucket) =>
        `http-request set-var(txn.regex) var(txn.host),concat(,txn.path,'#${REGEX_LETTERS}'),map_regm(${mapFile(bucket)}) if { var(txn.host) -m beg ${bucketDigits(bucket)} }`,
    ),
    'http-request unset-var(txn.route)',
    ...findPath,
    `http-request set-var(txn.route) var(txn.regex),map_str(${mapFile('regex')}) if { var(txn.regex) -m found } !${EXACT}`,
    ...elseAnyHost,
    ...again,
  ];
}
