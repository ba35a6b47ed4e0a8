import type { PolicyManifest } from '../../../lib/manifest/manifest.ts';
import { policyKinds } from '../../../lib/policy/schemas.ts';
import type { Derived } from './outputs.ts';
import { problemOf, type Fault } from './problems.ts';

export function policyOutputs(manifest: PolicyManifest): Derived[] {
  const { kind, namespace, name, generation, specJson } = manifest;
  if (policyKinds[kind].scope === 'hub') {
    const fault: Fault = {
      code: 'HG1002',
      field: 'kind',
      message: `a ${kind} has no force in a member cluster`,
      remedy: 'apply it at the hub with "headgate apply -f"',
      severity: 'error',
    };
    return [{ type: 'problem', body: problemOf(manifest, fault) }];
  }
  return [{ type: 'policy', body: { kind, namespace, name, generation, specJson } }];
}
