import { HeadgateError } from '../../lib/errors.ts';
import { transactionLimits, type Transaction } from './store.ts';

/** Throws HG9001 for a transaction that some implementation could not commit. */
export function checkTransaction({ conditions = [], operations }: Transaction): void {
  const most = Math.max(conditions.length, operations.length);
  if (most > transactionLimits.operations)
    throw new HeadgateError('HG9001', `a transaction of ${most} operations; at most ${transactionLimits.operations}`);
  let bytes = 0;
  const keys = new Set<string>();
  for (const operation of operations) {
    if (operation.kind === 'put') bytes += operation.value.length;
    if (keys.has(operation.key)) throw new HeadgateError('HG9001', `a transaction writes '${operation.key}' twice`);
    keys.add(operation.key);
  }
  for (const { key } of [...operations, ...conditions])
    if (key === '' || !key.isWellFormed())
      throw new HeadgateError('HG9001', `'${key.toWellFormed()}' is empty or no well-formed Unicode`);
  if (bytes > transactionLimits.bytes)
    throw new HeadgateError('HG9001', `a transaction of ${bytes} bytes; at most ${transactionLimits.bytes}`);
}
