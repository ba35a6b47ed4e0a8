import { expect, test } from 'vitest';
import { HeadgateError } from './errors.ts';

test('a line names code, object, field, reason and remedy', () => {
  const error = new HeadgateError('HG1002', 'must be a host name', {
    object: 'Ingress shop/shop',
    field: 'spec.rules[0].host',
    remedy: 'write the host in lower case without spaces',
  });
  expect(error.line()).toBe(
    'HG1002 Ingress shop/shop spec.rules[0].host: must be a host name; write the host in lower case without spaces',
  );
});

test('whatever was thrown becomes one type, with its cause kept', () => {
  const cause = new TypeError('boom');
  const error = HeadgateError.from(cause, 'HG4001', 'cannot write');
  expect(error.code).toBe('HG4001');
  expect(error.cause).toBe(cause);
  expect(error.chain()).toContain('TypeError: boom');
  expect(HeadgateError.from(error)).toBe(error);
});
