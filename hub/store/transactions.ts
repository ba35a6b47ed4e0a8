import { type Condition, type Operation, type Transaction, transactionLimits } from './store.ts';

/** Writes that belong together. */
export interface Unit {
  readonly conditions?: readonly Condition[];
  readonly operations: readonly Operation[];
}

/**
 * As few transactions as the store's limits allow, in order; a unit is never torn.
 *
 * @param fence conditions of every transaction.
 */
export function pack(units: readonly Unit[], fence: readonly Condition[] = []): Transaction[] {
  const transactions: { conditions: Condition[]; operations: Operation[] }[] = [];
  let bytes = 0;
  for (const { conditions = [], operations } of units) {
    const added = operations.reduce(
      (sum, operation) => sum + (operation.kind === 'put' ? operation.value.length : 0),
      0,
    );
    const current = transactions.at(-1);
    if (
      current === undefined ||
      current.operations.length + operations.length > transactionLimits.operations ||
      current.conditions.length + conditions.length > transactionLimits.operations ||
      bytes + added > transactionLimits.bytes
    ) {
      transactions.push({ conditions: [...fence, ...conditions], operations: [...operations] });
      bytes = added;
    } else {
      current.conditions.push(...conditions);
      current.operations.push(...operations);
      bytes += added;
    }
  }
  return transactions;
}
