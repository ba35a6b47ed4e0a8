import { quoted } from '../../../lib/manifest/quoted.ts';
import { fieldPath } from '../../../lib/manifest/yaml-documents.ts';
import type { Fault } from './problems.ts';

/** Prefixes whose keys are meant for a proxy: Headgate's own and those of the dialects it will read. */
const PREFIXES = [
  'headgate.dev/',
  'haproxy.org/',
  'haproxy.com/',
  'haproxy-ingress.github.io/',
  'ingress.kubernetes.io/',
  'nginx.ingress.kubernetes.io/',
] as const;

/**
 * Keys that let only some requests in: authentication, allow and deny lists, client certificates. To serve
 * without them would open what its owner closed.
 */
const PROTECTING = /^((auth|oauth)(-|$)|(allow|deny|white|black)-?list|client-(ca|crt-optional|strict-sni)$|satisfy$)/;

/** Raw configuration whose words say that it decides who gets in. */
const SNIPPET = /(snippet|^config-)/;
const GUARDING_WORDS = /\b(allow|deny|auth\w*|satisfy|ssl_client_\w+|ssl_c_\w+|http-request|tcp-request|return)\b/;

/** Annotations with a known prefix, ascending by key. */
export function knownAnnotations(annotations: ReadonlyMap<string, string>): Map<string, string> {
  return new Map([...annotations].filter(([key]) => prefixOf(key) !== undefined).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** Makes the Ingress' ImplementationSpecific paths regular expressions. */
const PATH_REGEX = 'headgate.dev/path-regex';

export function wantsPathRegex(annotations: ReadonlyMap<string, string>): boolean {
  return annotations.get(PATH_REGEX) === 'true';
}

/** What is not honoured is a fault, and an error where it protects. */
export function annotationFaults(annotations: ReadonlyMap<string, string>): Fault[] {
  return [...knownAnnotations(annotations)].flatMap(([key, value]): Fault[] => {
    const field = fieldPath(['metadata', 'annotations', key]);
    return key === PATH_REGEX ? switchFaults(key, value, field) : [unhonoured(key, value, field)];
  });
}

function switchFaults(key: string, value: string, field: string): Fault[] {
  if (value === 'true' || value === 'false') return [];
  const message = `annotation ${quoted(key)} is neither "true" nor "false", and is taken for "false"`;
  return [{ code: 'HG1002', field, message, remedy: 'write "true" or "false"', severity: 'warning' }];
}

function unhonoured(key: string, value: string, field: string): Fault {
  if (protects(key, value)) {
    return {
      code: 'HG1010',
      field,
      message: `annotation ${quoted(key)} protects these routes and is not honoured by this version, so this cluster does not serve them`,
      remedy: 'remove the annotation if the routes may be open to everybody, or serve them by another controller',
      severity: 'error',
    };
  }
  return {
    code: 'HG1010',
    field,
    message: `annotation ${quoted(key)} is not honoured by this version`,
    remedy: 'remove it, or accept that it has no effect',
    severity: 'warning',
  };
}

function prefixOf(key: string): string | undefined {
  return PREFIXES.find((prefix) => key.startsWith(prefix));
}

function protects(key: string, value: string): boolean {
  const name = key.slice(key.indexOf('/') + 1);
  // An empty value switches the setting off in every dialect.
  if (value.trim() === '') return false;
  return PROTECTING.test(name) || (SNIPPET.test(name) && GUARDING_WORDS.test(value));
}
