import { expect, test } from 'vitest';
import { conditionsOf, type Finding } from './conditions.ts';

const lost: Finding = {
  accepted: true,
  reason: 'TargetNotFound',
  code: 'HG1008',
  field: 'spec.targetRefs[0]',
  message: 'no cluster has an Ingress shop/lost',
  remedy: 'name a target that exists',
};
const invalid: Finding = { ...lost, accepted: false, reason: 'Invalid', code: 'HG1002', field: '', remedy: '' };

test.each<[string, readonly Finding[], readonly string[]]>([
  ['nothing', [], ['Accepted True Accepted', 'Programmed True Programmed']],
  ['what the rest stands beside', [lost], ['Accepted True Accepted', 'Programmed False TargetNotFound']],
  ['what stops the whole', [lost, invalid], ['Accepted False Invalid', 'Programmed False Invalid']],
])('%s', (_, findings, expected) => {
  const conditions = conditionsOf(findings, 7);
  expect(conditions.map(({ type, status, reason }) => `${type} ${status} ${reason}`)).toEqual(expected);
  expect(conditions.map(({ observedGeneration }) => observedGeneration)).toEqual([7, 7]);
});

test('a message says code, field, what is wrong and how to mend it', () => {
  expect(conditionsOf([lost, { ...invalid, accepted: true }], 1).map(({ message }) => message)).toEqual([
    '',
    'HG1008: spec.targetRefs[0]: no cluster has an Ingress shop/lost; name a target that exists. HG1002: no cluster has an Ingress shop/lost',
  ]);
});
