import { isIP } from 'node:net';
import { HeadgateError } from '../errors.ts';
import { printable } from '../printable.ts';

/**
 * Reads `CIDR[,CIDR…]`; an address alone is a range of one. A prefix of 0 is refused: it names nobody.
 * @returns each as HAProxy takes it, `ADDRESS/PREFIX`.
 * @throws HeadgateError HG2001
 */
export function parseAddressRanges(text: string): readonly string[] {
  return text.split(',').map((part) => {
    const [address = '', prefix, ...more] = part.trim().split('/');
    const family = isIP(address);
    const longest = family === 6 ? 128 : 32;
    const length = prefix === undefined ? longest : /^\d{1,3}$/.test(prefix) ? Number(prefix) : -1;
    if (family === 0 || address.includes('%') || more.length > 0 || length < 0 || length > longest) {
      throw refusal(part, 'is no range of addresses');
    }
    if (length === 0) throw refusal(part, 'is every address there is');
    return `${address}/${length}`;
  });
}

function refusal(part: string, why: string): HeadgateError {
  return new HeadgateError('HG2001', `"${printable(part.slice(0, 200))}" ${why}`, {
    remedy: 'give for example 10.0.0.0/8,2001:db8::/32',
  });
}
