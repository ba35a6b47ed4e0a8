/** One family of Prometheus' text format, version 0.0.4. */
export interface Family {
  readonly type: string;
  readonly help: string;
  readonly samples: { readonly name: string; readonly labels: ReadonlyMap<string, string>; readonly value: number }[];
}

const NAME = '[a-zA-Z_:][a-zA-Z0-9_:]*';
const SAMPLE = new RegExp(`^(${NAME})(?:\\{(.*)\\})? (\\S+)$`);
const LABEL = /^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\\\|\\"|\\n)*)"(?:,|$)/;
const VALUE = /^([+-]Inf|NaN|[+-]?\d+(\.\d*)?([eE][+-]?\d+)?)$/;
const TYPES = new Set(['counter', 'gauge', 'histogram', 'summary', 'untyped']);
const PARTS: Readonly<Record<string, readonly string[]>> = {
  histogram: ['_bucket', '_sum', '_count'],
  summary: ['', '_sum', '_count'],
};

/**
 * Reads an exposition as strictly as the format allows: HELP and TYPE before a family's samples, each family in one
 * piece, no series twice.
 * @throws Error naming the line
 */
export function parseExposition(text: string): ReadonlyMap<string, Family> {
  if (!text.endsWith('\n')) throw new Error('the last line does not end');
  const families = new Map<string, Family>();
  const helps = new Map<string, string>();
  const series = new Set<string>();
  let current: [name: string, family: Family] | undefined;
  for (const line of text.split('\n')) {
    if (line === '') continue;
    const [, word, name = '', rest = ''] = new RegExp(`^# (HELP|TYPE) (${NAME}) (.*)$`).exec(line) ?? [];
    if (word === 'HELP') {
      if (helps.has(name)) throw new Error(`a second HELP: ${line}`);
      helps.set(name, rest);
    } else if (word === 'TYPE') {
      if (families.has(name) || !helps.has(name) || !TYPES.has(rest)) throw new Error(`bad TYPE: ${line}`);
      current = [name, { type: rest, help: helps.get(name) ?? '', samples: [] }];
      families.set(...current);
    } else {
      const [, sample, labels = '', value = ''] = SAMPLE.exec(line) ?? [];
      if (sample === undefined || !VALUE.test(value)) throw new Error(`no sample: ${line}`);
      if (current === undefined || !isPart(sample, current)) throw new Error(`a sample of no family: ${line}`);
      const key = `${sample}{${labels}}`;
      if (series.has(key)) throw new Error(`a series twice: ${line}`);
      series.add(key);
      current[1].samples.push({ name: sample, labels: parseLabels(labels, line), value: numberOf(value) });
    }
  }
  return families;
}

function isPart(sample: string, [name, { type }]: [string, Family]): boolean {
  return (PARTS[type] ?? ['']).some((suffix) => sample === `${name}${suffix}`);
}

function parseLabels(text: string, line: string): ReadonlyMap<string, string> {
  const labels = new Map<string, string>();
  for (let rest = text; rest !== '';) {
    const [whole = '', name = '', value = ''] = LABEL.exec(rest) ?? [];
    if (whole === '' || labels.has(name)) throw new Error(`bad labels: ${line}`);
    labels.set(name, value);
    rest = rest.slice(whole.length);
  }
  return labels;
}

function numberOf(text: string): number {
  return text.endsWith('Inf') ? (text.startsWith('-') ? -Infinity : Infinity) : Number(text);
}
