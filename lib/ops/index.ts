export * from './ops-server.ts';
export { createRegistry } from './registry.ts';
