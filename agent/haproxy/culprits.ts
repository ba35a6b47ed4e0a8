import { HeadgateError } from '../../lib/errors.ts';
import type { Resource } from '../../lib/sync/index.ts';
import type { Change } from './model/change.ts';
import type { Fixed } from './model/desired.ts';
import { type Profile, profileId } from './model/profile.ts';
import { Planner } from './plan/planner.ts';
import { checkCertificates, checkConfiguration, withoutKeys } from './process/check.ts';
import { renderFiles } from './render/files.ts';
import type { Failure } from './runtime/executor.ts';

/** HAProxy's words where it refuses some of a kind, with nothing beside them. */
export type Refusal<T> = (some: readonly T[]) => Promise<string | undefined>;

/**
 * Finds what HAProxy refuses, by halving: both halves are asked about at once. What is refused only together is not
 * found.
 */
export async function findCulprits<T>(all: readonly T[], refusal: Refusal<T>): Promise<ReadonlyMap<T, string>> {
  if (all.length === 0) return new Map();
  const words = await refusal(all);
  if (words === undefined) return new Map();
  const [only, second] = all;
  if (second === undefined && only !== undefined) return new Map([[only, words]]);
  const middle = Math.ceil(all.length / 2);
  const halves = [all.slice(0, middle), all.slice(middle)];
  const found = await Promise.all(halves.map((half) => findCulprits(half, refusal)));
  return new Map(found.flatMap((some) => [...some]));
}

/** What keeps HAProxy from loading its files. */
export interface Culprits {
  readonly failures: readonly Failure[];
  /** Profiles whose slots it does not load, whoever wants them. */
  readonly profiles: readonly Profile[];
}

export interface CourtOptions {
  /** Absolute path of HAProxy. */
  readonly binary: () => string;
  /** HAProxy's folder. */
  readonly folder: string;
  readonly cluster: string;
  readonly fixed: Fixed;
  /** Holds what is in HAProxy's files. */
  readonly planner: Planner;
  /** Makes one that holds nothing. */
  readonly empty: () => Planner;
}

/** Finds out why HAProxy does not load its files, by having it read parts of them. */
export class Court {
  readonly #options: CourtOptions;

  constructor(options: CourtOptions) {
    this.#options = options;
  }

  /**
   * The certificates that HAProxy names; else the profiles that it refuses alone, with the hosts that have them; else
   * what of `news`, or of all that its files should hold, it refuses alone. A HAProxy that takes not even nothing, for
   * example a broken binary, accuses nobody.
   *
   * @param news what came with the change
   * @param words HAProxy's, of the refusal
   */
  async judge(
    news: readonly Resource[],
    all: () => readonly Resource[],
    change: Change,
    words: string,
  ): Promise<Culprits> {
    const named = this.#named(words);
    if (named.length > 0) return { failures: named, profiles: [] };
    if ((await this.#profileRefusal([])) !== undefined) return { failures: [], profiles: [] };
    const wanted = change.causes.profiles;
    const loaded = this.#options.planner.assignments().profiles;
    const distinct = new Map([...wanted, ...loaded].map(({ profile }) => [profileId(profile), profile]));
    const refused = await findCulprits([...distinct.values()], (some) => this.#profileRefusal(some));
    const profiles = [...refused.keys()];
    const among = newsIn(news);
    const failures = [...refused].flatMap(([profile, why]) =>
      this.#options.planner.hostsOf(profile).map((host) => blame(host, why)),
    );
    if (failures.length > 0) return { failures, profiles };
    const alone = await this.#alone(news);
    if (alone.length > 0 || profiles.length > 0) return { failures: alone, profiles };
    const certificates = await this.#certificates();
    if (certificates.length > 0) return { failures: certificates, profiles };
    // What HAProxy refuses of new settings only together with their endpoints.
    const asked = change.causes.resources.filter(among);
    if (change.reload === 'backend-settings' && asked.length > 0) {
      return { failures: asked.map((one) => blame(one, words)), profiles: wanted.map(({ profile }) => profile) };
    }
    return { failures: await this.#alone(all()), profiles };
  }

  /** Nothing else that HAProxy reads here has its keys. */
  async #certificates(): Promise<readonly Failure[]> {
    try {
      await checkCertificates(this.#options.binary(), this.#options.folder);
      return [];
    } catch (error) {
      return this.#named(HeadgateError.from(error).message);
    }
  }

  #named(words: string): readonly Failure[] {
    return [...new Set(words.match(/certs\/(?:c-[0-9a-f]+|default)\.pem/g))].flatMap((file) => {
      const name = this.#options.planner.certificateOf(file);
      return name === undefined ? [] : [blame({ type: 'own-certificate', name }, words)];
    });
  }

  async #alone(all: readonly Resource[]): Promise<readonly Failure[]> {
    const found = await findCulprits(all, async (some) => {
      const planner = this.#options.empty();
      planner.apply({ upserts: some, removals: [] });
      return await this.#refusal(planner);
    });
    return [...found].map(([{ type, name }, words]) => blame({ type, name }, words));
  }

  async #profileRefusal(some: readonly Profile[]): Promise<string | undefined> {
    const profiles = some.map((profile, from) => ({ profile, from, count: 1 }));
    const none = new Map<string, number>();
    const assignments = { slots: some.length, profiles, peerSlots: 0, backends: none, peers: none };
    return await this.#refusal(new Planner({ cluster: this.#options.cluster, assignments }));
  }

  async #refusal({ desired }: Planner): Promise<string | undefined> {
    const { binary, folder, fixed } = this.#options;
    try {
      await checkConfiguration(binary(), folder, withoutKeys(renderFiles(desired, fixed), fixed.defaultCertificate));
      return undefined;
    } catch (error) {
      const { code, message } = HeadgateError.from(error);
      if (code !== 'HG5002') throw error;
      return message;
    }
  }
}

function newsIn(news: readonly Resource[]): (key: { readonly type: string; readonly name: string }) => boolean {
  const labels = new Set(news.map(({ type, name }) => `${type}/${name}`));
  return ({ type, name }) => labels.has(`${type}/${name}`);
}

function blame(resource: { readonly type: string; readonly name: string }, words: string): Failure {
  return { resource, command: 'load', words };
}
