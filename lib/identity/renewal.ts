import { X509Certificate } from 'node:crypto';
import type { Clock } from '../clock.ts';
import { backdate } from './authority.ts';
import { validity } from './certificate.ts';

/** Share of a lifetime that passes at least between two renewals. */
const pace = 0.02;

/**
 * Milliseconds until a certificate is to be renewed, 0 when that is overdue: half of its lifetime ± 10 %, so
 * that a fleet enrolled in one minute does not renew in one minute.
 *
 * @param certificate PEM; of a chain the first.
 */
export function renewalDelay(certificate: string, clock: Clock): number {
  const { issued, lifetime } = span(certificate);
  const due = issued + lifetime * (0.45 + 0.1 * clock.random());
  // A timer counts to 2^31 - 1 ms (25 days); what lives longer is renewed early.
  return Math.min(Math.max(due - clock.wall(), 0), 2 ** 31 - 1);
}

/** Milliseconds from issue to expiry. @param certificate PEM; of a chain the first. */
export function lifetimeOf(certificate: string): number {
  return span(certificate).lifetime;
}

/** Milliseconds to let pass after a renewal, however far ahead the clock is. */
export function renewalPace(certificate: string): number {
  return span(certificate).lifetime * pace;
}

function span(certificate: string): { readonly issued: number; readonly lifetime: number } {
  const { notBefore, notAfter } = validity(new X509Certificate(certificate));
  const issued = notBefore + backdate;
  return { issued, lifetime: notAfter - issued };
}
