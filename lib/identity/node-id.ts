import { hash } from 'node:crypto';
import { isLabel } from './identity.ts';

/**
 * A node's id for its name: the name itself where it is an RFC 1123 label, as most are. A name with dots, or a long
 * one, becomes a label that tells it apart from every other.
 */
export function nodeIdOf(name: string): string {
  if (isLabel(name)) return name;
  const readable = name
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replace(/^-/, '')
    .slice(0, 50)
    .replace(/-$/, '');
  return `${readable === '' ? 'node' : readable}-${hash('sha256', name, 'hex').slice(0, 12)}`;
}
