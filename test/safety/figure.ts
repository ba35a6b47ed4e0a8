/** Prints what a promise's test measured, beside the runner's own report. */
export function figure(text: string): void {
  process.stdout.write(`${text}\n`);
}
