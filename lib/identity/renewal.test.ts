import { expect, test } from 'vitest';
import { systemClock } from '../clock.ts';
import { Authority, defaultLifetimes } from './authority.ts';
import { makeKeyAndCsr } from './key.ts';
import { renewalDelay, renewalPace } from './renewal.ts';

const hour = 3_600_000;

test('a certificate is renewed at half of its lifetime, ten percent either way', async () => {
  const issued = Date.UTC(2026, 10, 1);
  const authority = await Authority.create('Headgate control CA', 'fleet', issued);
  const { csr } = await makeKeyAndCsr();
  const request = { csr, now: issued, lifetime: defaultLifetimes.control };
  const certificate = await authority.issueControl({ kind: 'hub', fleet: 'fleet', id: 'h1' }, request);
  const delay = (after: number, random: number) =>
    renewalDelay(certificate, { ...systemClock, wall: () => issued + after, random: () => random });
  expect(delay(0, 0)).toBeCloseTo(10.8 * hour, 0);
  expect(delay(0, 1)).toBeCloseTo(13.2 * hour, 0);
  expect(delay(11 * hour, 0.5)).toBeCloseTo(hour, 0);
  expect(delay(-hour, 0.5)).toBeCloseTo(13 * hour, 0);
  expect(delay(1_000 * hour, 0.5)).toBe(0);
  expect(renewalPace(certificate)).toBeCloseTo(0.48 * hour, 0);
});
