import { bucketDigits, mapFile, HOST_MARK, regexBuckets } from '../../model/names.ts';
import { REGEX_LETTERS } from '../../model/regex-entries.ts';
import { findPath } from './routing.ts';

const EXACT = `{ var(txn.key),concat(,txn.path,'#'),map_str(${mapFile('regex')}) -m found }`;

/**
 * For hosts with regular expressions alone; no others have a key.
 * A host's expressions are one entry of one bucket; the entries of other hosts in the bucket begin with another host
 * id and fail at their first characters.
 */
export const regexHosts = [
  `http-request set-var(txn.key) var(txn.host),bytes(${HOST_MARK.length}) if { var(txn.host) -m beg ${HOST_MARK} }`,
  ...regexBuckets.map(
    (bucket) =>
      `http-request set-var(txn.regex) var(txn.key),concat(,txn.path,'#${REGEX_LETTERS}'),map_regm(${mapFile(bucket)}) if { var(txn.key) -m beg ${bucketDigits(bucket)} }`,
  ),
  findPath('txn.key'),
  `http-request set-var(txn.route) var(txn.regex),map_str(${mapFile('regex')}) if { var(txn.regex) -m found } !${EXACT}`,
];
