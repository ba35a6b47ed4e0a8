import { NO_ROUTE_YET, PASSED_MARK } from './names.ts';
import type { HostEntries } from './regex-entries.ts';

/** The entries of a host whose TLS passes through: nothing of it is served over HTTP. */
export function passedEntries(id: string): HostEntries {
  const key = `${PASSED_MARK}${id}`;
  return { key, maps: new Map([['path', new Map([[key, NO_ROUTE_YET]])]]) };
}
