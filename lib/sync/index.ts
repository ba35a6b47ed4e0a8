export * from './protocol.ts';
export * from './resource.ts';
export type { Pipe } from './pipe.ts';
