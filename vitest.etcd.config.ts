import { defineConfig, mergeConfig } from 'vitest/config';

import base from './vitest.config.ts';

// Real etcd, which script/kube-programs has. One file at a time, so that none disturbs another's timing. Run by
// `npm run test:etcd`, which finds the programs and says so where there is no etcd 3.4.
const config = mergeConfig(base, defineConfig({ test: { fileParallelism: false, testTimeout: 120_000 } }));
config['test'] = { ...config['test'], include: ['test/etcd/**/*.test.ts'], exclude: ['**/node_modules/**'] };
export default config;
