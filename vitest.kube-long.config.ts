import kube from './vitest.kube.config.ts';

// What takes minutes over real API servers. Run by `npm run test:long`.
export default {
  ...kube,
  test: { ...kube['test'], testTimeout: 900_000, include: ['test/kube/long/**/*.test.ts'], exclude: [] },
};
