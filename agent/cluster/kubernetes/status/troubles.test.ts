import { expect, test } from 'vitest';
import { Publication, resource } from '../../../../lib/sync/index.ts';
import { ObjectStatus } from '../../../../proto/gen/headgate/v1/configured.ts';
import { Ingress, Policy, Problem, Severity, Verdict } from '../../../../proto/gen/headgate/v1/reported.ts';
import { ObjectStatuses } from '../../object-statuses.ts';
import { Troubles } from './troubles.ts';

function ingress(name: string, host: string, namespace = 'shop') {
  const backend = { service: 'web', portNumber: 80, portName: '' };
  const body = Ingress.encode(
    Ingress.create({ namespace, name, rules: [{ host, path: '/', backend }], tls: [{ hosts: [host], secret: 'tls' }] }),
  );
  return resource('ingress', `${namespace}/${name}`, body.finish());
}

function problem(kind: string, name: string, code: string, severity: Severity = Severity.ERROR) {
  const fields = { code, kind, namespace: 'shop', name, field: 'spec', message: 'is \u001bwrong', severity };
  return resource('problem', `${code}/${kind}/shop/${name}`, Problem.encode(Problem.create(fields)).finish());
}

function verdict(type: string, name: string) {
  const rejections = [{ node: 'n1', code: 'HG5002', message: 'refused' }];
  const body = Verdict.encode(Verdict.create({ type, name, programmed: 1, nodes: 2, rejections })).finish();
  return resource('verdict', `${type}/${name}`, body);
}

function standing(name: string, accepted: boolean) {
  const findings = [{ accepted, reason: 'Conflicted', code: 'HG1006', message: 'the host is taken' }];
  const body = ObjectStatus.encode(
    ObjectStatus.create({ kind: 'Ingress', namespace: 'shop', name, findings }),
  ).finish();
  return resource('status', `Ingress/shop/${name}`, body);
}

function scene() {
  const up = new Publication();
  const statuses = new ObjectStatuses();
  const troubles = new Troubles(up, statuses);
  const told: string[] = [];
  troubles.onChange((key) => told.push(key));
  const summary = (key: string): string[] =>
    troubles.of(key).map(({ accepted, reason, code }) => `${accepted ? 'in force' : 'refused'} ${reason} ${code}`);
  return { up, statuses, troubles, told, summary };
}

test('problems of an object, and of the Secrets and Services that an Ingress rests on', () => {
  const { up, troubles, told, summary } = scene();
  up.publish({
    upserts: [ingress('web', 'shop.example'), problem('Ingress', 'web', 'HG1010', Severity.WARNING)],
    removals: [],
  });
  up.publish({ upserts: [problem('Secret', 'tls', 'HG1004')], removals: [] });
  expect(summary('Ingress/shop/web')).toEqual([
    'in force PartiallyProgrammed HG1010',
    'in force PartiallyProgrammed HG1004',
  ]);
  expect(troubles.of('Ingress/shop/web')[1]).toMatchObject({
    field: 'Secret shop/tls spec',
    message: 'is \\u001bwrong',
  });
  told.length = 0;
  up.publish({ upserts: [], removals: [{ type: 'problem', name: 'HG1004/Secret/shop/tls' }] });
  expect(told).toEqual(['Secret/shop/tls', 'Ingress/shop/web']);
  expect(summary('Ingress/shop/web')).toHaveLength(1);
});

test('what nodes reject is told of the Ingresses that rest on it and of the policies that govern them', () => {
  const { up, statuses, told, summary } = scene();
  const specJson = JSON.stringify({ targetRefs: [{ group: '', kind: 'Namespace', name: 'shop' }] });
  const policy = Policy.encode({
    kind: 'TrafficPolicy',
    namespace: 'shop',
    name: 'p',
    generation: 1n,
    specJson,
  }).finish();
  up.publish({
    upserts: [
      ingress('web', 'shop.example'),
      ingress('other', 'other.example'),
      resource('policy', 'TrafficPolicy/shop/p', policy),
    ],
    removals: [],
  });
  told.length = 0;
  up.publish({ upserts: [verdict('host', 'shop.example')], removals: [] });
  expect(told).toEqual(['Ingress/shop/web', 'TrafficPolicy/shop/p']);
  for (const key of told) expect(summary(key)).toEqual(['in force PartiallyProgrammed HG5002']);
  expect(summary('Ingress/shop/other')).toEqual([]);

  // Whoever does not own the host is not told what is in it.
  statuses.take({ upserts: [standing('web', false)], removals: [] });
  expect(summary('Ingress/shop/web')).toEqual(['refused Conflicted HG1006']);
  expect(summary('TrafficPolicy/shop/p')).toEqual([]);
});

test('an Ingress is ours for as long as it is reported', () => {
  const { up, troubles } = scene();
  expect(troubles.isOurs('Ingress/shop/web')).toBe(false);
  up.publish({ upserts: [ingress('web', 'shop.example')], removals: [] });
  expect(troubles.isOurs('Ingress/shop/web')).toBe(true);
  up.publish({ upserts: [], removals: [{ type: 'ingress', name: 'shop/web' }] });
  expect(troubles.isOurs('Ingress/shop/web')).toBe(false);
});
