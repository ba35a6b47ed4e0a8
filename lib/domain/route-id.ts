import { hash } from 'node:crypto';
import type { PathType } from '../../proto/gen/headgate/v1/configured.ts';

/**
 * The route's stable id: the first 16 hex digits of SHA-256 over (host, path type, path), each ended by a
 * zero byte, which none of them can hold. The same in every cluster and every release.
 */
export function routeId(host: string, pathType: PathType, path: string): string {
  return hash('sha256', `${host}\0${pathType}\0${path}\0`, 'hex').slice(0, 16);
}
