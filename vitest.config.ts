import { defineConfig } from 'vitest/config';

// The real Node runs the tests with its own type stripping, so what passes here runs in production.
export default defineConfig({
  test: {
    include: [
      'lib/**/*.test.ts',
      'hub/**/*.test.ts',
      'agent/**/*.test.ts',
      'cli/**/*.test.ts',
      'deploy/**/*.test.ts',
      'test/**/*.test.ts',
    ],
    exclude: ['**/node_modules/**', 'test/long/**', 'test/kube/**', 'test/etcd/**'],
    isolate: false,
    pool: 'forks',
    testTimeout: 30_000,
    hookTimeout: 60_000,
    experimental: { viteModuleRunner: false },
  },
});
