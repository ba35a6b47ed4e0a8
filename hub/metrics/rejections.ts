import type { FleetState } from '../fleet/state.ts';

/** Tells which of the rejections that stand are new since the last look. */
export class Rejections {
  #known: ReadonlySet<string> = new Set();

  /** @returns the code of each new one. */
  look(state: FleetState): readonly string[] {
    const now = new Map<string, string>();
    for (const [cluster, { verdicts }] of state.clusters) {
      for (const { type, name, digest, rejections } of verdicts.values()) {
        for (const { node, code } of rejections) {
          const version = Buffer.from(digest).toString('hex');
          now.set([cluster, node, type, name, version, code].join('\0'), code);
        }
      }
    }
    const fresh = [...now].flatMap(([key, code]) => (this.#known.has(key) ? [] : [code]));
    this.#known = new Set(now.keys());
    return fresh;
  }
}
