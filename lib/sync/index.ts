export * from './protocol.ts';
export * from './publication.ts';
export * from './resource.ts';
export type { Pipe } from './pipe.ts';
