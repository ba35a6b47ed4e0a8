import { defineConfig, mergeConfig } from 'vitest/config';

import base from './vitest.config.ts';

// Tests that take minutes: one file at a time, so that none disturbs another's timing.
const config = mergeConfig(base, defineConfig({ test: { fileParallelism: false, testTimeout: 900_000 } }));
config['test'] = { ...config['test'], include: ['test/long/**/*.test.ts'], exclude: ['**/node_modules/**'] };
export default config;
