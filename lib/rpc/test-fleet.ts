import { Authority } from '../identity/authority.ts';
import type { Identity } from '../identity/identity.ts';
import { makeKeyAndCsr } from '../identity/key.ts';

const hour = 3_600_000;

export interface TestCredentials {
  readonly ca: string;
  readonly certificate: string;
  readonly privateKey: string;
}

/** A control CA for tests that issues to whomever they ask. */
export async function testFleet(fleet = 'f1'): Promise<{
  readonly authority: Authority;
  issue(identity: Identity, options?: { lifetime?: number; now?: number; serial?: string }): Promise<TestCredentials>;
}> {
  const authority = await Authority.create('test control CA', fleet, Date.now());
  return {
    authority,
    issue: async (identity, { lifetime = hour, now = Date.now(), serial } = {}) => {
      const { privateKey, csr } = await makeKeyAndCsr();
      const leaf = await authority.issueControl(identity, {
        csr,
        now,
        lifetime,
        ...(serial === undefined ? {} : { serial }),
      });
      return { ca: authority.pem.certificate, certificate: leaf + authority.pem.certificate, privateKey };
    },
  };
}

export const hubIdentity: Identity = { kind: 'hub', fleet: 'f1', id: 'h1' };
export const euIdentity: Identity = { kind: 'cluster', fleet: 'f1', cluster: 'eu' };
export const nodeIdentity: Identity = { kind: 'node', fleet: 'f1', cluster: 'eu', node: 'n1' };
