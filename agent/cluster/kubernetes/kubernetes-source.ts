import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Clock } from '../../../lib/clock.ts';
import {
  Reflector,
  resources,
  type ApiResource,
  type KubernetesClient,
  type Reflected,
} from '../../../lib/kubernetes/index.ts';
import type { Log } from '../../../lib/log.ts';
import { ChangeBuffer } from '../change-buffer.ts';
import type { Source, SourceChange } from '../source.ts';
import { Translator } from '../translate/translator.ts';
import { Wakeup } from '../wakeup.ts';
import { Discovery } from './discovery.ts';
import { NamedSecrets, type SecretName } from './named-secrets.ts';
import { PendingChanges } from './pending-changes.ts';
import type { SeenObjects } from './status/seen-objects.ts';
import { coreKinds, policyResources } from './watched-kinds.ts';

export interface KubernetesSourceOptions {
  readonly client: KubernetesClient;
  /** Those that are watched; every one when empty. */
  readonly namespaces: readonly string[];
  /** Secret, `<namespace>/<name>`; see TranslatorOptions. */
  readonly defaultCertificate?: string | undefined;
  /** Told of every object as it stands, for whoever writes statuses. */
  readonly seen?: Pick<SeenObjects, 'upsert' | 'remove'> | undefined;
  readonly clock: Clock;
  readonly log: Log;
}

/** A Service's ready counts go up at most every so many milliseconds. */
const SERVICE_MS = 100;
/** Certificates begin and cease to be valid although nothing changes: milliseconds between looks. */
const VALIDITY_MS = 10_000;

/**
 * A cluster's Kubernetes API as a source. Each call of `changes` is a fresh look: nothing comes before every kind, and
 * every Secret that an Ingress of ours names, has been listed. Afterwards what cannot be looked at stays as it was.
 */
export function kubernetesSource(options: KubernetesSourceOptions): Source {
  return {
    changes: async function* (signal) {
      await using session = new Session(options, signal);
      while (!signal.aborted) {
        const change = await session.next(signal);
        if (change !== undefined) yield change;
      }
    },
  };
}

class Session implements AsyncDisposable {
  readonly #options: KubernetesSourceOptions;
  readonly #pending = new PendingChanges();
  readonly #translator: Translator;
  readonly #buffer = new ChangeBuffer(SERVICE_MS);
  readonly #wakeup: Wakeup;
  readonly #secrets: NamedSecrets;
  readonly #discovery: Discovery;
  readonly #ended = new AbortController();
  readonly #signal: AbortSignal;
  readonly #reflectors = new Set<Promise<void>>();
  /** Lists that are not complete yet. */
  #unlisted = 0;
  #told = false;

  constructor(options: KubernetesSourceOptions, signal: AbortSignal) {
    this.#options = options;
    this.#signal = AbortSignal.any([signal, this.#ended.signal]);
    this.#translator = new Translator({
      folder: false,
      secretsOnDemand: true,
      defaultCertificate: options.defaultCertificate,
    });
    this.#wakeup = new Wakeup(options.clock);
    this.#discovery = new Discovery(options.client, options.clock);
    this.#secrets = new NamedSecrets({
      follow: async (name, reflected, stop) => await this.#followSecret(name, reflected, stop),
      upsert: (object) => this.#pending.upsert(resources.secrets, object),
      remove: (name) => this.#pending.remove(resources.secrets, name),
      unreadable: (secret, fault) => this.#pending.unreadable(secret, fault),
      told: () => this.#wakeup.wake(),
    });
    for (const resource of coreKinds) this.#follow(resource, false);
    for (const resource of policyResources) this.#follow(resource, true);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ended.abort();
    this.#secrets[Symbol.dispose]();
    await Promise.all(this.#reflectors);
  }

  /** @returns undefined when aborted. */
  async next(signal: AbortSignal): Promise<SourceChange | undefined> {
    const { clock } = this.#options;
    while (!signal.aborted) {
      if (this.#unlisted === 0) {
        // Until everything is listed all that would be derived is transitory.
        this.#buffer.add(this.#translator.apply(this.#pending.take(), clock.wall()));
        const named = this.#translator.takeNamedSecrets();
        if (named !== undefined) this.#secrets.set(named);
        if (this.#told || this.#secrets.isSettled) {
          const change = this.#buffer.take(clock.now()) ?? (this.#told ? undefined : NOTHING);
          if (change !== undefined) {
            this.#told = true;
            return change;
          }
        }
      }
      const due = (this.#buffer.deadline() ?? Number.POSITIVE_INFINITY) - clock.now();
      await this.#wakeup.wait(Math.min(due, VALIDITY_MS), signal);
      // Several watches may bring something in one turn of the event loop.
      await nextTurn();
    }
    return undefined;
  }

  #follow(resource: ApiResource, mayBeAbsent: boolean): void {
    const { namespaces, seen } = this.#options;
    const scopes = resource.namespaced && namespaces.length > 0 ? namespaces : [undefined];
    for (const namespace of scopes) {
      let isListed = false;
      this.#unlisted++;
      void this.#run(
        { resource, namespace, untilServed: mayBeAbsent ? this.#discovery.waitFor(resource) : undefined },
        {
          upsert: (object) => {
            this.#pending.upsert(resource, object);
            seen?.upsert(resource, object);
            this.#wakeup.wake();
          },
          remove: (name) => {
            this.#pending.remove(resource, name);
            seen?.remove(resource, name);
            this.#wakeup.wake();
          },
          synced: () => {
            if (isListed) return;
            isListed = true;
            if (--this.#unlisted === 0) this.#wakeup.wake();
          },
        },
      );
    }
  }

  async #followSecret({ namespace, name }: SecretName, reflected: Reflected, stop: AbortSignal): Promise<void> {
    const signal = AbortSignal.any([this.#signal, stop]);
    const fieldSelector = `metadata.name=${name}`;
    const log = quiet(this.#options.log);
    await this.#run({ resource: resources.secrets, namespace, fieldSelector, log }, reflected, signal);
  }

  #run(what: Followed, reflected: Reflected, signal = this.#signal): Promise<void> {
    const { client, clock, log } = this.#options;
    const running = new Reflector({ log, ...what, reflected, client, clock }).run(signal).finally(() => {
      this.#reflectors.delete(running);
    });
    this.#reflectors.add(running);
    return running;
  }
}

interface Followed {
  readonly resource: ApiResource;
  readonly namespace?: string | undefined;
  readonly fieldSelector?: string | undefined;
  readonly log?: Log;
  readonly untilServed?: ((signal: AbortSignal) => Promise<void>) | undefined;
}

/** When the API server goes each of thousands of Secrets would say so; the kinds say it, and refusals are problems. */
function quiet(log: Log): Log {
  const debug: Log['debug'] = (message, fields) => log.debug(message, fields);
  return { ...log, info: debug, warn: debug, with: (fields) => quiet(log.with(fields)) };
}

const NOTHING: SourceChange = { report: { upserts: [], removals: [] }, own: { upserts: [], removals: [] } };
