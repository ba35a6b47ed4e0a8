import type { Bench } from './bench.ts';
export const hubCpu: Bench = {
  name: 'hub-cpu',
  summary: 'x',
  run: async () => ({ tables: [], figures: [], faults: [] }),
};
