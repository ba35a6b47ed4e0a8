import type { Bench } from '../bench.ts';
import { agentMemory } from './agent-memory.ts';
import { changeLive } from './change-live.ts';
import { changeRate } from './change-rate.ts';
import { coldStart } from './cold-start.ts';
import { hitlessChange } from './hitless.ts';
import { memory } from './memory.ts';
import { shapes } from './shapes.ts';

/** `data-plane` runs all of these, `data-plane:<part>` one. */
export const dataPlane: readonly Bench[] = [
  shapes,
  memory,
  changeLive,
  hitlessChange,
  changeRate,
  coldStart,
  agentMemory,
];
