import { ApiError, type KubernetesObject, type Reflected } from '../../../lib/kubernetes/index.ts';
import type { HeadgateError } from '../../../lib/errors.ts';
import type { SecretFault } from '../translate/missing.ts';

/** Secrets that are looked for side by side, when many are named at once. */
const PARALLEL = 32;

export interface NamedSecretsOptions {
  /** Follows one Secret until the signal aborts. */
  readonly follow: (name: SecretName, reflected: Reflected, signal: AbortSignal) => Promise<void>;
  readonly upsert: (object: KubernetesObject) => void;
  readonly remove: (name: SecretName) => void;
  /** @param secret `<namespace>/<name>` */
  readonly unreadable: (secret: string, fault: SecretFault | undefined) => void;
  /** Something was told. */
  readonly told: () => void;
}

export interface SecretName {
  readonly namespace: string;
  readonly name: string;
}

interface Watched {
  readonly stop: AbortController;
  /** Whether its content, its absence or a refusal has been seen. */
  looked: boolean;
}

/**
 * The Secrets that something names, each watched by itself: no other is ever asked for, so that a role may be limited to
 * them by name. One that is refused is a fault of the Ingress that names it; what it held before stays.
 */
export class NamedSecrets {
  readonly #options: NamedSecretsOptions;
  readonly #watched = new Map<string, Watched>();
  /** Named, and not looked for yet: by `<namespace>/<name>`. */
  readonly #waiting = new Set<string>();
  #looking = 0;

  constructor(options: NamedSecretsOptions) {
    this.#options = options;
  }

  /** Whether every one has been looked at once. */
  get isSettled(): boolean {
    return this.#waiting.size === 0 && this.#looking === 0;
  }

  /** From now on exactly these are watched: `<namespace>/<name>`. */
  set(wanted: ReadonlySet<string>): void {
    for (const key of this.#waiting) if (!wanted.has(key)) this.#waiting.delete(key);
    for (const [key, watched] of this.#watched) {
      if (wanted.has(key)) continue;
      this.#watched.delete(key);
      this.#looked(watched);
      watched.stop.abort();
      // Keys that nobody uses are not kept.
      this.#options.unreadable(key, undefined);
      this.#options.remove(nameOf(key));
    }
    for (const key of wanted) if (!this.#watched.has(key)) this.#waiting.add(key);
    this.#next();
  }

  [Symbol.dispose](): void {
    this.#waiting.clear();
    for (const { stop } of this.#watched.values()) stop.abort();
  }

  #next(): void {
    for (const key of this.#waiting) {
      if (this.#looking >= PARALLEL) return;
      this.#waiting.delete(key);
      this.#looking++;
      const watched: Watched = { stop: new AbortController(), looked: false };
      this.#watched.set(key, watched);
      void this.#options.follow(nameOf(key), this.#reflected(key, watched), watched.stop.signal);
    }
  }

  #reflected(key: string, watched: Watched): Reflected {
    const { upsert, remove, unreadable, told } = this.#options;
    const { signal } = watched.stop;
    let isThere = false;
    const tell = (what: () => void): void => {
      // What was on its way when it ceased to be named.
      if (signal.aborted) return;
      what();
      told();
    };
    const looked = (): void => {
      this.#looked(watched);
      this.#next();
    };
    return {
      upsert: (object) =>
        tell(() => {
          isThere = true;
          upsert(object);
        }),
      remove: (name) =>
        tell(() => {
          isThere = false;
          remove(name);
        }),
      synced: () =>
        tell(() => {
          if (!isThere) remove(nameOf(key));
          looked();
        }),
      trouble: (error) =>
        tell(() => {
          if (error === undefined) unreadable(key, undefined);
          else if (error instanceof ApiError && error.status === 403) {
            unreadable(key, forbidden(key, error));
            looked();
          }
        }),
    };
  }

  #looked(watched: Watched): void {
    if (watched.looked) return;
    watched.looked = true;
    this.#looking--;
  }
}

function nameOf(key: string): SecretName {
  const slash = key.indexOf('/');
  return { namespace: key.slice(0, slash), name: key.slice(slash + 1) };
}

function forbidden(key: string, { code }: HeadgateError): SecretFault {
  const { namespace, name } = nameOf(key);
  return {
    code,
    message: `Secret ${key} may not be read by the agent`,
    remedy: `give the agent's ServiceAccount a Role of namespace ${namespace} with the rule apiGroups [""], resources ["secrets"], resourceNames ["${name}"], verbs ["list", "watch"]`,
  };
}
