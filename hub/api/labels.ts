import { z } from 'zod';

/** A label's key or value as Kubernetes has them, a prefix included. */
export const label = z
  .string()
  .max(317)
  .regex(/^([A-Za-z0-9]([-A-Za-z0-9_./]*[A-Za-z0-9])?)?$/, 'must be letters, digits, -, _, . and /');
