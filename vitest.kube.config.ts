import { defineConfig, mergeConfig } from 'vitest/config';

import base from './vitest.config.ts';

// Real API servers, of which one file at a time has its own. Run by `npm run test:kube`, which finds the programs and
// makes the network.
const config = mergeConfig(base, defineConfig({ test: { fileParallelism: false, testTimeout: 120_000 } }));
config['test'] = { ...config['test'], hookTimeout: 180_000, include: ['test/kube/**/*.test.ts'], exclude: [] };
export default config;
