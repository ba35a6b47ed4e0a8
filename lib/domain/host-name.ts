const label = '[a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?';
const exact = new RegExp(`^${label}(?:\\.${label})*$`);
/** Clients ask for names with underscores too, which a rule's wildcard may cover. */
const asked = new RegExp(`^${label.replaceAll('a-z0-9', 'a-z0-9_')}(?:\\.${label})*$`);
const wildcard = new RegExp(`^\\*\\.${label}(?:\\.${label})*$`);

/** Name of the host that holds rules without a host and default backends; they never leave their cluster. */
export const ANY_HOST = '*';

/** A lower-case RFC 1123 subdomain, or "*." and one; at most 253 characters. */
export function validHost(host: string): boolean {
  return host.length <= 253 && (exact.test(host) || wildcard.test(host));
}

export function isWildcard(host: string): boolean {
  return host.startsWith('*.');
}

/**
 * The host of a request, from its Host header or `:authority`: lower case, without port and final dot.
 * @returns undefined where it is no host name (an IPv6 literal, control characters, empty).
 */
export function requestHost(authority: string): string | undefined {
  const name = authority
    .toLowerCase()
    .replace(/:[0-9]*$/, '')
    .replace(/\.$/, '');
  return name.length <= 253 && asked.test(name) ? name : undefined;
}

/** The one wildcard that covers a host: "*.b.c" for "a.b.c"; undefined for a single label or a wildcard. */
export function wildcardOf(host: string): string | undefined {
  const dot = host.indexOf('.');
  return dot === -1 || isWildcard(host) ? undefined : `*${host.slice(dot)}`;
}

/** Whether a rule's host covers a request's: equal, or a wildcard for exactly one label (Ingress API). */
export function hostMatches(pattern: string, host: string): boolean {
  return pattern === host || (isWildcard(pattern) && wildcardOf(host) === pattern);
}

/**
 * Whether a claim on `pattern` reserves `host`: itself, and everything under a wildcard at any depth, other
 * wildcards included. "*.shop.example" reserves "a.b.shop.example" and "*.b.shop.example", not "shop.example".
 */
export function claimCovers(pattern: string, host: string): boolean {
  return pattern === host || (isWildcard(pattern) && host.endsWith(pattern.slice(1)));
}

/** Every pattern whose claim would cover `host`, most specific first. */
export function claimPatterns(host: string): string[] {
  const patterns = [host];
  let rest = isWildcard(host) ? host.slice(2) : host;
  for (let dot = rest.indexOf('.'); dot !== -1; dot = rest.indexOf('.')) {
    // A wildcard does not lie under itself.
    const pattern = `*${rest.slice(dot)}`;
    if (pattern !== host) patterns.push(pattern);
    rest = rest.slice(dot + 1);
  }
  return patterns;
}
