import type { IEvent, IWatchRequest, IWatchResponse } from 'etcd3';
import { HeadgateError } from '../../../lib/errors.ts';
import type { Change, WatchBatch } from '../store.ts';
import { etcdError } from './etcd-error.ts';
import type { EtcdStream } from './member.ts';
import { endOf, type Layout } from './wire.ts';

export interface WatchRequest {
  readonly layout: Layout;
  readonly prefix: string;
  readonly fromRevision: bigint;
  /** The store's revision when `open` was called; the epoch is what it was then. */
  readonly revision: bigint;
  readonly signal: AbortSignal;
}

const DATA = '1';
const EPOCH = '2';

/**
 * Reads one watch to its end. etcd never parts the events of one revision when it is not asked to; whatever else
 * it does than to send them in order (cancel, compact, end, fall silent, begin a new history) is HG4002.
 */
export async function* readWatch(
  stream: EtcdStream<IWatchRequest, IWatchResponse>,
  { layout, prefix, fromRevision, revision, signal }: WatchRequest,
): AsyncGenerator<WatchBatch> {
  const stop = (): void => stream.cancel();
  signal.addEventListener('abort', stop, { once: true });
  try {
    if (signal.aborted) return;
    const key = layout.key(prefix);
    stream.write(create(DATA, key, endOf(key), fromRevision));
    stream.write(create(EPOCH, layout.epoch, Buffer.alloc(0), revision));
    let seen = fromRevision;
    for await (const response of stream) {
      assertGoesOn(response);
      if (response.watch_id === EPOCH && response.events.length > 0)
        throw new HeadgateError('HG4002', 'a new epoch of the store has begun; list again');
      for (const batch of batches(response.events, layout)) {
        if (batch.revision <= seen)
          throw new HeadgateError('HG4002', `etcd sent revision ${batch.revision} after ${seen}; list again`);
        seen = batch.revision;
        yield batch;
      }
    }
    if (!signal.aborted) throw new HeadgateError('HG4002', 'etcd ended the watch; list again');
  } catch (thrown) {
    if (signal.aborted) return;
    if (thrown instanceof HeadgateError) throw thrown;
    const { message } = etcdError(thrown, 'watch the store');
    throw new HeadgateError('HG4002', message, { cause: thrown });
  } finally {
    signal.removeEventListener('abort', stop);
    stream.cancel();
  }
}

function create(watch_id: string, key: Buffer, range_end: Buffer, after: bigint): IWatchRequest {
  return { create_request: { watch_id, key, range_end, start_revision: (after + 1n).toString() } };
}

function assertGoesOn({ canceled, compact_revision, cancel_reason }: IWatchResponse): void {
  if (compact_revision !== '0')
    throw new HeadgateError('HG4002', `etcd has compacted up to revision ${compact_revision}; list again`);
  if (canceled) throw new HeadgateError('HG4002', `etcd cancelled the watch: ${cancel_reason || 'no reason given'}`);
}

function* batches(events: readonly IEvent[], layout: Layout): Generator<WatchBatch> {
  let revision: string | undefined;
  let changes: Change[] = [];
  for (const { type, kv } of events) {
    if (revision !== undefined && kv.mod_revision !== revision) {
      yield { revision: BigInt(revision), changes };
      changes = [];
    }
    revision = kv.mod_revision;
    changes.push(
      type === 'Put' ? { kind: 'put', entry: layout.entry(kv) } : { kind: 'delete', key: layout.name(kv.key) },
    );
  }
  if (revision !== undefined) yield { revision: BigInt(revision), changes };
}
