import type { HitlessOptions } from './hitless.ts';

/** What the figures to reach ask for: 2,000 requests a second in all, births in three times the pool's size. */
export const fullSize: HitlessOptions = {
  sizes: {
    idle: 10_000,
    routes: 1_000,
    births: 384,
    certificates: 21,
    rollouts: 10,
    reloads: 10,
    kills: 4,
    upgrades: 2,
  },
  rates: { steady: 400, kept: 900, fresh: 200, http2: 500 },
  websockets: 20,
  downloads: 5,
};
