import { policyKinds } from '../../../lib/policy/schemas.ts';
import { HeadgateError } from '../../../lib/errors.ts';
import { type ItemKind, itemKinds } from '../types.ts';

/** What `get KIND` means: a kind of item, and of policies perhaps one kind alone. */
export interface KindSelection {
  readonly kind: ItemKind;
  readonly policyKind: string | undefined;
}

const singular: Readonly<Record<ItemKind, string>> = {
  routes: 'route',
  hosts: 'host',
  ingresses: 'ingress',
  clusters: 'cluster',
  nodes: 'node',
  policies: 'policy',
  certificates: 'certificate',
  events: 'event',
};

/**
 * Reads a kind as people type it: singular or plural, in any case; a policy kind by its name.
 * @throws HeadgateError HG2001
 */
export function parseKind(text: string): KindSelection {
  const wanted = text.toLowerCase();
  const kind = itemKinds.find((plural) => plural === wanted || singular[plural] === wanted);
  if (kind !== undefined) return { kind, policyKind: undefined };
  const policyKind = Object.keys(policyKinds).find((name) => {
    const lower = name.toLowerCase();
    return lower === wanted || `${lower}s` === wanted || `${lower.replace(/y$/, 'ie')}s` === wanted;
  });
  if (policyKind !== undefined) return { kind: 'policies', policyKind };
  throw new HeadgateError('HG2001', `there is no kind ${JSON.stringify(text.slice(0, 64))}`, {
    remedy: `use one of ${[...itemKinds, ...Object.keys(policyKinds)].join(', ')}`,
  });
}
