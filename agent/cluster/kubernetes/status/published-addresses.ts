import type { Clock } from '../../../../lib/clock.ts';
import { Reflector, resources, type KubernetesClient, type Reflected } from '../../../../lib/kubernetes/index.ts';
import type { Log } from '../../../../lib/log.ts';
import type { PublishOptions } from '../../../options.ts';
import {
  addressesOf,
  addressesOfNodes,
  addressesOfService,
  nodeAddresses,
  type IngressAddress,
} from './ingress-addresses.ts';

export interface PublishedAddressesOptions {
  readonly publish: PublishOptions;
  readonly client: KubernetesClient;
  /** They are others than before. */
  readonly changed: () => void;
  readonly clock: Clock;
  readonly log: Log;
}

/** The addresses that clients of this cluster's Ingresses use, followed where they are objects. */
export class PublishedAddresses {
  readonly #options: PublishedAddressesOptions;
  #current: readonly IngressAddress[] | undefined;

  constructor(options: PublishedAddressesOptions) {
    this.#options = options;
  }

  /** Undefined until they are known. */
  get current(): readonly IngressAddress[] | undefined {
    return this.#current;
  }

  /** Resolves when the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const { publish, client, clock, log } = this.#options;
    switch (publish.kind) {
      case 'addresses':
        this.#set(addressesOf(publish.addresses));
        return;
      case 'service': {
        const { namespace, name } = publish.service;
        const what = { resource: resources.services, namespace, fieldSelector: `metadata.name=${name}` };
        await new Reflector({ ...what, reflected: this.#service(), client, clock, log }).run(signal);
        return;
      }
      case 'nodes':
        await new Reflector({ resource: resources.nodes, reflected: this.#nodes(), client, clock, log }).run(signal);
        return;
    }
  }

  #service(): Reflected {
    let isThere = false;
    return {
      upsert: (object) => {
        isThere = true;
        this.#set(addressesOfService(object));
      },
      remove: () => {
        isThere = false;
        this.#set([]);
      },
      synced: () => {
        if (!isThere) this.#set([]);
      },
    };
  }

  #nodes(): Reflected {
    const byName = new Map<string, readonly string[]>();
    let isListed = false;
    const set = (): void => {
      if (isListed) this.#set(addressesOfNodes(byName.values()));
    };
    return {
      upsert: (object) => {
        byName.set(object.metadata.name, nodeAddresses(object));
        set();
      },
      remove: ({ name }) => {
        byName.delete(name);
        set();
      },
      synced: () => {
        isListed = true;
        set();
      },
    };
  }

  #set(addresses: readonly IngressAddress[]): void {
    if (JSON.stringify(addresses) === JSON.stringify(this.#current)) return;
    this.#current = addresses;
    this.#options.changed();
  }
}
