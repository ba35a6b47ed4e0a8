import type { ICompare, IKeyValue, IRequestOp } from 'etcd3';
import { unreachable } from '../../../lib/errors.ts';
import type { Condition, Entry, Operation } from '../store.ts';

/** Where a fleet's keys stand in etcd. What the hub stores is under `data/`; the store's own marks are beside it. */
export class Layout {
  /** JSON FormatRecord: says that the prefix is Headgate's, and which version wrote it. */
  readonly format: Buffer;
  /** JSON EpochRecord. */
  readonly epoch: Buffer;
  readonly root: Buffer;
  readonly #data: Buffer;

  constructor(prefix: string) {
    this.root = Buffer.from(prefix);
    this.format = Buffer.from(`${prefix}meta/format`);
    this.epoch = Buffer.from(`${prefix}meta/epoch`);
    this.#data = Buffer.from(`${prefix}data/`);
  }

  /** The key in etcd of one in the store. */
  key(key: string): Buffer {
    return Buffer.concat([this.#data, Buffer.from(key)]);
  }

  entry({ key, value, create_revision, mod_revision }: IKeyValue): Entry {
    return {
      key: this.name(key),
      value,
      createRevision: BigInt(create_revision),
      modRevision: BigInt(mod_revision),
    };
  }

  /** The key in the store of one in etcd. */
  name(key: Buffer): string {
    return key.subarray(this.#data.length).toString();
  }

  compare(condition: Condition): ICompare {
    const key = this.key(condition.key);
    return 'createRevision' in condition
      ? { key, result: 'Equal', target: 'Create', create_revision: condition.createRevision.toString() }
      : { key, result: 'Equal', target: 'Mod', mod_revision: condition.modRevision.toString() };
  }

  operation(operation: Operation): IRequestOp {
    const key = this.key(operation.key);
    switch (operation.kind) {
      case 'put': {
        // Our own copy: the caller may go on to write into its own before it is sent.
        const value = Buffer.from(operation.value);
        return { request_put: { key, value, ...(operation.lease === undefined ? {} : { lease: operation.lease.id }) } };
      }
      case 'delete':
        return { request_delete_range: { key } };
      default:
        return unreachable(operation);
    }
  }
}

/** The smallest key after all that start with `prefix`, which is never empty. No key has a byte 0xff: it is UTF-8. */
export function endOf(prefix: Buffer): Buffer {
  const end = Buffer.from(prefix);
  end[end.length - 1] = (end.at(-1) ?? 0) + 1;
  return end;
}
