import { PASSED_MARK } from './names.ts';
import type { HostEntries } from './regex-entries.ts';

/** The entries of a host whose TLS passes through: nothing of it is served over HTTP. */
export function passedEntries(id: string): HostEntries {
  return { key: `${PASSED_MARK}${id}`, maps: new Map() };
}
