import { kubeAgentSize } from './agent-size.ts';
import { kubePropagation } from './propagation.ts';
import { sourceSize } from './source-size.ts';

/** What is measured over real API servers. */
export const kubernetes = [kubePropagation, kubeAgentSize, sourceSize];
