import { execFileSync } from 'node:child_process';
import { expect, test } from 'vitest';

// In a process of its own: the log goes to standard error.
const script = `
import { createLog } from '${new URL('log.ts', import.meta.url).href}';
import { HeadgateError } from '${new URL('errors.ts', import.meta.url).href}';
const log = createLog('agent').with({ cluster: 'eu', node: 'a' });
log.info('enrolled', { cluster: 'eu', node: 'b', revision: 7n });
log.debug('never shown');
log.error('failed\\n\\u001b[31m\\u009b\\u202e', { error: new HeadgateError('HG4001', 'two\\nlines') });
`;

test('one JSON object a line, no name twice, nothing raw', () => {
  const run = `node --input-type=module -e "$0" 2>&1`;
  const text = execFileSync('sh', ['-c', run.replace('node', process.execPath), script], { encoding: 'utf8' });
  const lines = text.trimEnd().split('\n');
  expect(lines).toHaveLength(2);
  const [first, second] = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  expect(first).toMatchObject({ level: 'info', msg: 'enrolled', component: 'agent', node: 'b', revision: 7 });
  expect(lines[0]?.match(/"(cluster|node)"/g)).toHaveLength(2);
  expect(first?.['ts']).toMatch(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
  expect(second).toMatchObject({ msg: 'failed\n\u001b[31m\u009b\u202e', error: 'HG4001 two\\u000alines' });
  // oxlint-disable-next-line no-control-regex -- control characters are what this looks for
  expect(text).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202e]/);
});
