import type { Bench } from '../bench.ts';

/** `data-plane` runs all of these, `data-plane:<part>` one. */
export const dataPlane: readonly Bench[] = [];
