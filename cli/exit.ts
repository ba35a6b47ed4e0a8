import type { HeadgateError } from '../lib/errors.ts';

/** 0 done, 1 failed, 2 wrong usage or bad input, 130 interrupted. */
export const exitCodes = { done: 0, failed: 1, usage: 2, interrupted: 130 } as const;

/** Ends a command with a code and nothing more to say. */
export class Exit extends Error {
  readonly code: number;

  constructor(code: number) {
    super(`exit ${code}`);
    this.code = code;
  }
}

/** What was typed or written wrongly is 2; everything else that failed is 1. */
export function exitCode(error: HeadgateError): number {
  const badInput = error.code.startsWith('HG1') || error.code === 'HG2001' || error.code === 'HG2004';
  return badInput ? exitCodes.usage : exitCodes.failed;
}
