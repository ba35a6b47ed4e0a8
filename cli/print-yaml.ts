import { stringify } from 'yaml';
import type { Screen } from './output.ts';

/** Apart from the other formats: an agent loads those, and would hold the whole of yaml. */
export function printYaml(screen: Screen, value: unknown): void {
  screen.write(stringify(value, { lineWidth: 0 }));
}
