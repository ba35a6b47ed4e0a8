import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock, type Clock } from '../../lib/clock.ts';
import { defaultLifetimes, type Lifetimes } from '../../lib/identity/authority.ts';
import { silentLog } from '../../lib/log.ts';
import { openEmbeddedStore } from '../store/embedded.ts';
import type { Store } from '../store/store.ts';
import { Enrolment } from './enrolment.ts';
import { HubAuthority } from './hub-authority.ts';
import { Revocations } from './revocations.ts';
import { ServiceAccountTokens } from './service-account-tokens.ts';
import { Tokens } from './tokens.ts';

/** A hub's certificates over a real store in a folder of its own; for tests. */
export interface CertificatesFixture extends AsyncDisposable {
  readonly folder: string;
  readonly store: Store;
  readonly authority: HubAuthority;
  readonly tokens: Tokens;
  readonly serviceAccountTokens: ServiceAccountTokens;
  readonly revocations: Revocations;
  readonly enrolment: Enrolment;
  /** Wall and monotonic time move on by so many milliseconds. */
  advance(ms: number): void;
}

/** @param skew milliseconds that the hub's clock is ahead. */
export async function certificatesFixture(
  lifetimes: Lifetimes = defaultLifetimes,
  skew = 0,
): Promise<CertificatesFixture> {
  await using made = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), 'headgate-certificates-'));
  made.defer(() => rm(folder, { recursive: true, force: true }));
  let ahead = skew;
  const clock: Clock = {
    ...systemClock,
    wall: () => systemClock.wall() + ahead,
    now: () => systemClock.now() + ahead,
  };
  const log = silentLog;
  const store = made.use(await openEmbeddedStore({ folder, clock: systemClock, log }));
  const kekFile = join(folder, 'kek');
  const authority = made.use(await HubAuthority.open({ store, kekFile, hubId: 'h1', clock, log, lifetimes }));
  const revocations = made.use(await Revocations.open({ store, clock, log }));
  const tokens = new Tokens({ store, clock, rootSpki: authority.rootSpki });
  const serviceAccountTokens = new ServiceAccountTokens({ store, clock });
  const enrolment = new Enrolment({ authority, tokens, serviceAccountTokens, revocations, store, clock, log });
  const all = made.move();
  return {
    folder,
    store,
    authority,
    tokens,
    serviceAccountTokens,
    revocations,
    enrolment,
    advance: (ms) => {
      ahead += ms;
    },
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}
