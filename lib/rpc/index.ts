export * from './dial.ts';
export * from './pinned-root.ts';
export * from './reconnect.ts';
export * from './rpc-table.ts';
export * from './serve.ts';
export type { RpcServices } from './services.ts';
