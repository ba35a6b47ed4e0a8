/** One line with a test's figures, whole numbers. */
export function report(what: string, figures: Readonly<Record<string, number>>): void {
  const parts = Object.entries(figures).map(([name, value]) => `${name} ${Math.round(value)}`);
  process.stdout.write(`${what}: ${parts.join(', ')}\n`);
}
