/**
 * What makes a look-up walk a list instead of a tree: match methods of maps that are none of str, beg and ip, and
 * patterns from a file. A regular expression over names of headers is a list of one.
 */
const LINEAR = /map_(?!str|beg|ip)[a-z]+|map_(?:str|beg|ip)_[a-z]*reg|\s-f\s|-m (?:reg|dir|dom|end|sub) -f/;

/** Rules that every request meets that has a route of its own host: up to the `allow`, and one of each choice behind. */
export function commonPath(base: string): string[] {
  const lines = base.split('\n').map((line) => line.trim());
  const entry = lines.slice(lines.indexOf('frontend entry') + 1);
  const rules = entry.slice(
    0,
    entry.findIndex((line) => /^(?:frontend|backend) /.test(line)),
  );
  const allow = rules.findIndex((line) => line.startsWith('http-request allow if { var(txn.route) -m found }'));
  if (allow === -1) throw new Error('no rule ends the common path');
  const first = rules.find((line) => line.startsWith('use_backend'));
  const answers = rules.filter((line) => line.startsWith('http-response'));
  return [...rules.slice(0, allow + 1), ...(first === undefined ? [] : [first]), ...answers];
}

/** @returns the rules of the common path whose cost grows with what is configured. */
export function linearRules(base: string): string[] {
  return commonPath(base).filter((line) => LINEAR.test(line));
}
