import { randomUUID } from 'node:crypto';
import type { IKeyValue, IRangeResponse, ITxnResponse } from 'etcd3';
import { z } from 'zod';
import { HeadgateError } from '../../../lib/errors.ts';
import type { Epoch } from '../../../lib/sync/index.ts';
import type { Members } from './members.ts';
import { endOf, type Layout } from './wire.ts';

/** Rises when the layout in etcd changes; a prefix with a higher one was written by a newer Headgate. */
const FORMAT = 1;

const formatSchema = z.object({ headgate: z.literal('store'), format: z.int().positive() });
const epochSchema = z.strictObject({ counter: z.string().regex(/^[1-9][0-9]{0,18}$/), id: z.uuid() });

/**
 * Makes the prefix a fleet's, or sees that it is one.
 *
 * @throws HG2003 where it holds something else or what a newer version wrote, HG4003 where its marks are damaged.
 */
export async function claimPrefix(members: Members, layout: Layout): Promise<void> {
  if (await isClaimed(members, layout)) return;
  const { kvs } = await readRange(members, { key: layout.root, range_end: endOf(layout.root), limit: 1 });
  if (kvs[0] !== undefined) {
    throw new HeadgateError(
      'HG2003',
      `the prefix '${layout.root.toString()}' of etcd holds keys that are not Headgate's`,
      {
        remedy: 'give a prefix of its own with --store-prefix',
      },
    );
  }
  const format = Buffer.from(JSON.stringify({ headgate: 'store', format: FORMAT }));
  await members.write('begin a store', async (member, deadline) => {
    const request = {
      compare: [{ key: layout.format, result: 'Equal', target: 'Create', create_revision: '0' }],
      success: [
        { request_put: { key: layout.format, value: format } },
        { request_put: { key: layout.epoch, value: encodeEpoch({ counter: 1n, id: randomUUID() }) } },
      ],
    };
    await member.call<ITxnResponse>('KV', 'txn', request, deadline);
  });
  // Another hub may have been first.
  await isClaimed(members, layout);
}

async function isClaimed(members: Members, layout: Layout): Promise<boolean> {
  const { kvs } = await readRange(members, { key: layout.format });
  if (kvs[0] === undefined) return false;
  const { format } = decode(kvs[0], formatSchema);
  if (format > FORMAT) {
    throw new HeadgateError('HG2003', `the store under '${layout.root.toString()}' was written by a newer Headgate`, {
      remedy: 'start that version or a later one',
    });
  }
  return true;
}

/** The epoch, and the revision that it was read at. */
export async function readEpoch(
  members: Members,
  layout: Layout,
): Promise<{ readonly epoch: Epoch; readonly modRevision: string; readonly revision: bigint }> {
  const { kvs, header } = await readRange(members, { key: layout.epoch });
  if (kvs[0] === undefined) throw new HeadgateError('HG4003', 'the store has lost its epoch', { remedy: REMEDY });
  const { counter, id } = decode(kvs[0], epochSchema);
  return {
    epoch: { counter: BigInt(counter), id },
    modRevision: kvs[0].mod_revision,
    revision: BigInt(header.revision),
  };
}

/** Begins the next epoch. */
export async function writeNextEpoch(members: Members, layout: Layout): Promise<Epoch> {
  const { epoch, modRevision } = await readEpoch(members, layout);
  const next = { counter: epoch.counter + 1n, id: randomUUID() };
  const { succeeded } = await members.write('begin an epoch', async (member, deadline) => {
    const request = {
      compare: [{ key: layout.epoch, result: 'Equal', target: 'Mod', mod_revision: modRevision }],
      success: [{ request_put: { key: layout.epoch, value: encodeEpoch(next) } }],
    };
    return await member.call<ITxnResponse>('KV', 'txn', request, deadline);
  });
  if (!succeeded) throw new HeadgateError('HG2008', 'another epoch has begun meanwhile');
  return next;
}

async function readRange(members: Members, request: object): Promise<IRangeResponse> {
  return await members.read('read the store', async (member, deadline) =>
    member.call<IRangeResponse>('KV', 'range', request, deadline),
  );
}

const REMEDY = 'restore etcd from a snapshot, then run `headgate store epoch --new`';

function encodeEpoch({ counter, id }: Epoch): Buffer {
  return Buffer.from(JSON.stringify({ counter: counter.toString(), id }));
}

function decode<T>({ key, value }: IKeyValue, schema: z.ZodType<T>): T {
  try {
    return schema.parse(JSON.parse(value.toString()));
  } catch (cause) {
    throw new HeadgateError('HG4003', `the value of '${key.toString()}' in etcd is not Headgate's`, {
      cause,
      remedy: REMEDY,
    });
  }
}
