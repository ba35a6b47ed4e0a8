import type { Identity } from '../../lib/identity/identity.ts';
import { isBefore, momentOf, type Moment } from '../../lib/identity/serial.ts';
import type { Settings } from '../../proto/gen/headgate/v1/configured.ts';

interface Revoked {
  readonly since: Moment;
  readonly barred: boolean;
}

/** Which of its cluster's nodes an agent listens to no more: the hub's last word, kept while the hub is away. */
export class NodeRevocations {
  #nodes: ReadonlyMap<string, Revoked> = new Map();
  #serials: ReadonlySet<string> = new Set();

  /** Takes the settings as the hub wrote them last. */
  apply({ revokedNodes, revokedSerials }: Pick<Settings, 'revokedNodes' | 'revokedSerials'>): void {
    this.#nodes = new Map(
      revokedNodes.map(({ node, epoch, revision, barred }) => [
        node,
        { since: { epoch: { counter: epoch }, revision }, barred },
      ]),
    );
    this.#serials = new Set(revokedSerials);
  }

  /** @param serial hex in either case. */
  isRevoked(identity: Identity, serial: string): boolean {
    if (this.#serials.has(serial.toLowerCase())) return true;
    if (identity.kind !== 'node') return false;
    const issued = momentOf(serial);
    return [this.#nodes.get(''), this.#nodes.get(identity.node)].some(
      (revoked) => revoked !== undefined && (issued === undefined || isBefore(issued, revoked.since)),
    );
  }

  /** Whether a node may get no new certificate. */
  isBarred(node: string): boolean {
    return this.#nodes.get(node)?.barred === true;
  }
}
