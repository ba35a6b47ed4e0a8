import { X509Certificate } from 'node:crypto';
import type { Clock } from '../clock.ts';
import { backdate } from './authority.ts';
import { validity } from './certificate.ts';

/** Share of a lifetime that passes at least between two renewals, however wrong the clock is. */
const pace = 0.02;

/**
 * Milliseconds until a certificate is to be renewed: half of its lifetime ± 10 %, so that a fleet enrolled in
 * one minute does not renew in one minute.
 *
 * @param certificate PEM; of a chain the first.
 */
export function renewalDelay(certificate: string, clock: Clock): number {
  const { notBefore, notAfter } = validity(new X509Certificate(certificate));
  const issued = notBefore + backdate;
  const lifetime = notAfter - issued;
  const due = issued + lifetime * (0.45 + 0.1 * clock.random());
  // A timer counts to 2^31 - 1 ms (25 days); what lives longer is renewed early.
  return Math.min(Math.max(due - clock.wall(), lifetime * pace), 2 ** 31 - 1);
}
