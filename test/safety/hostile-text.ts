/** Numbers from 0 to below 1; the same seed gives the same (mulberry32). */
export function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

export function pick<T>(random: () => number, list: readonly T[]): T {
  const chosen = list[Math.floor(random() * list.length)];
  if (chosen === undefined) throw new RangeError('nothing to pick from');
  return chosen;
}

/** Stands in every hostile text, so that it is found wherever a part of one ends up. */
export const MARK = 'zq9x';

const fragments = [
  '\n',
  '\r',
  '\r\n',
  '\n\n',
  '\0',
  '\t',
  '\v',
  '\f',
  '\x1b[31m',
  '\x7f',
  '\x80',
  '\u00a0',
  '\u2028',
  '\u202e',
  '\ufeff',

  "'",
  '"',
  '`',
  '#',
  ' # ',
  '$',
  '${HOME}',
  '$(id)',
  '"${PATH}"',
  '\\',
  '\\\\',
  '\\n',
  '\\;',
  '\\x41',
  '%',
  '%%',
  '%0a',

  '%[env(HOME)]',
  '%[env(PATH)]',
  '%{+Q}o',
  '%[var(txn.path)]',
  '%[src]',
  '%b',
  ';',
  ' ; ',
  '; disable frontend entry',
  '<<',
  ' <<',

  '<<EOF',
  ' <<\n',
  '\n\nshow env\n',
  ';show env',
  '; set map maps/host.map shop.example x',
  '\ndel map maps/host.map shop.example',

  '\nfrontend evil\n  bind :1\n',
  '\nbackend evil\n',
  '\nglobal\n',
  "'\nglobal\n'",
  '\n  http-request return status 200 lf-file /etc/passwd\n',

  ' -f /etc/passwd',
  '-f',
  '--',
  '-m',
  '{',
  '}',
  '{ src 0.0.0.0/0 }',
  '!',
  '||',
  '|',
  ',',
  ':',
  '@',
  '*',
  '*.',
  '.',
  '..',
  '/',
  '//',

  '../../../etc/passwd',
  '/etc/passwd',
  '/../',
  '?',
  '&',
  '=',
  '(',
  ')',
  '[',
  ']',
  '~',
  '^',
  '+',
  ' ',
  '  ',
  'é',
  'ß',
  '日本',
  '😀',
  'İ',
  'ﬀ',

  '-----BEGIN CERTIFICATE-----',
  '-----END CERTIFICATE-----',
  '-----BEGIN PRIVATE KEY-----',
  'a'.repeat(300),
  '0',
  '-1',
  '65536',
  'NaN',

  '__proto__',
  'constructor',
  'toString',
  'null',
  '!!js/function',
  '&a',
  '*a',
  'A',
  'z',
  '9',
  'shop',
  'example',
  'maps/host.map',
  's0000',
] as const;

/** Text made to break out of wherever it is put. */
export function hostileText(random: () => number): string {
  const parts: string[] = [];
  for (let left = Math.floor(random() * 4) + 1; left > 0; left--) parts.push(pick(random, fragments));
  if (random() < 0.01) parts.push('x'.repeat(5_000));
  parts.splice(Math.floor(random() * (parts.length + 1)), 0, MARK);
  return parts.join('');
}

/** The same in shapes of which more get past the checks. */
const shapes = {
  host: (text: string): readonly string[] => [
    text,
    `${text}.example`,
    `a.${text}`,
    `*.${text}`,
    `${MARK}.example${text}`,
    text.toLowerCase().replace(/[^a-z0-9.-]/g, ''),
  ],
  path: (text: string): readonly string[] => [
    text,
    `/${text}`,
    `/${text.replace(/[^\x21-\x7e]|[?#]/g, '')}`,
    `/a/../${text}/`,
    `/%2e${text}`,
  ],
  /** Of a header, a cookie or a service of gRPC. */
  token: (text: string): readonly string[] => [
    text,
    `x-${MARK}${text}`,
    text.replace(/[^A-Za-z0-9_./-]/g, '').slice(0, 128),
    text.replace(/[^A-Za-z0-9_.-]/g, '').slice(0, 64),
  ],
  /** A regular expression over a path. */
  regex: (text: string): readonly string[] => [
    text,
    `/${text}`,
    `/(${text}|a)*`,
    `/[${text}]+`,
    `/${text.replace(/[^\x21-\x7e]/g, '').replace(/[^A-Za-z0-9/]/g, String.raw`\$&`)}`,
    `/${MARK}/[^/]+(?:${text.replace(/[^A-Za-z0-9|]/g, '')}){1,3}`,
  ],
  name: (text: string): readonly string[] => [
    text,
    `${MARK}${text}`,
    text
      .toLowerCase()
      .replace(/[^a-z0-9-]/g, '')
      .slice(0, 63),
  ],
};

export function hostileIn(random: () => number, shape: keyof typeof shapes): string {
  return pick(random, shapes[shape](hostileText(random)));
}
