export interface PemBlock {
  /** CERTIFICATE, PRIVATE KEY, … */
  readonly label: string;
  readonly text: string;
}

const block = /-----BEGIN ([A-Z0-9 ]+)-----[^-]+-----END \1-----/g;

/** The complete blocks in a text (RFC 7468, 2); whatever stands around them is let be. */
export function pemBlocks(text: string): readonly PemBlock[] {
  return [...text.matchAll(block)].map(([found, label = '']) => ({ label, text: found }));
}

/** How many blocks begin in a text, be they complete or not. */
export function blocksBegun(text: string): number {
  return text.split('-----BEGIN ').length - 1;
}
