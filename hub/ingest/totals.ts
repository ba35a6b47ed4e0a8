import { resourceTypes } from '../../lib/domain/resource-types.ts';
import type { Resource } from '../../lib/sync/index.ts';

/** What takes up room: resources, bytes of their bodies, and how many are of types that this hub does not know. */
export class Totals {
  count = 0;
  bytes = 0;
  unknown = 0;

  add(one: Resource, sign: 1 | -1): void {
    this.count += sign;
    this.bytes += sign * one.body.length;
    if (!Object.hasOwn(resourceTypes, one.type)) this.unknown += sign;
  }
}
