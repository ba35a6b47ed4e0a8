import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { defineConfig, mergeConfig } from 'vitest/config';

import base from './vitest.config.ts';

// Real API servers, of which one file at a time has its own. Run by `npm run test:kube`, which finds the programs,
// makes the network, and says so where there is no etcd 3.4.
const oldEtcd = existsSync(join(process.env['KUBEBUILDER_ASSETS'] ?? '', 'etcd-3.4'));
const config = mergeConfig(base, defineConfig({ test: { fileParallelism: false, testTimeout: 120_000 } }));
config['test'] = {
  ...config['test'],
  hookTimeout: 180_000,
  include: ['test/kube/**/*.test.ts'],
  exclude: ['test/kube/long/**', ...(oldEtcd ? [] : ['test/kube/**/*.etcd-3.4.test.ts'])],
};
export default config;
