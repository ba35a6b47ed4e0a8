import { HeadgateError } from '../../../lib/errors.ts';

/** What etcd, or the way to it, has answered. The words are etcd's own (api/v3rpc/rpctypes/error.go) and gRPC's. */
const known: readonly (readonly [RegExp, (doing: string, cause: unknown) => HeadgateError])[] = [
  [
    /authentication failed, invalid user ID or password|user name is empty/,
    (doing, cause) =>
      new HeadgateError('HG2005', `cannot ${doing}: etcd does not accept the name and password`, {
        cause,
        remedy: 'mend --store-user and --store-password-file',
      }),
  ],
  [
    /permission denied/,
    (doing, cause) =>
      new HeadgateError('HG2006', `cannot ${doing}: etcd does not permit it to this user`, {
        cause,
        remedy: 'grant the user reading and writing of every key under --store-prefix',
      }),
  ],
  [
    /authentication is not enabled/,
    (doing, cause) =>
      new HeadgateError('HG2005', `cannot ${doing}: this etcd has no users`, {
        cause,
        remedy: 'leave out --store-user, or enable authentication in etcd',
      }),
  ],
  [
    /database space exceeded/,
    (doing, cause) =>
      new HeadgateError('HG4001', `cannot ${doing}: etcd's space is exceeded`, {
        cause,
        remedy: 'compact and defragment etcd or raise its --quota-backend-bytes, then disarm its alarm',
      }),
  ],
  [
    /required revision has been compacted/,
    (doing, cause) => new HeadgateError('HG4002', `cannot ${doing}: etcd has compacted that revision`, { cause }),
  ],
  [
    /requested lease not found/,
    (doing, cause) => new HeadgateError('HG4001', `cannot ${doing}: its lease has ended`, { cause }),
  ],
  [
    /DEADLINE_EXCEEDED|Deadline exceeded|request timed out|no leader|leader changed/i,
    (doing, cause) =>
      new HeadgateError('HG4001', `cannot ${doing}: etcd did not answer in time, or has no quorum`, {
        cause,
        remedy: 'see that a majority of its members runs',
      }),
  ],
];

/** Whatever a call threw, in one sentence. */
export function etcdError(thrown: unknown, doing: string): HeadgateError {
  if (thrown instanceof HeadgateError) return thrown;
  const text = thrown instanceof Error ? thrown.message : String(thrown);
  const found = known.find(([words]) => words.test(text));
  if (found !== undefined) return found[1](doing, thrown);
  return new HeadgateError('HG4001', `cannot ${doing}: etcd is not reachable: ${text.split('\n')[0] ?? ''}`, {
    cause: thrown,
    remedy: 'see that its members run, and that --store names them with the right certificates',
  });
}

/** Whether asking again, or another member, may help. */
export function isPassing(error: HeadgateError): boolean {
  return error.code === 'HG4001';
}

/** Whether the request certainly reached no member. */
export function isUnsent(error: HeadgateError): boolean {
  const { cause } = error;
  return cause instanceof Error && /ECONNREFUSED|No connection established|Name resolution failed/.test(cause.message);
}
