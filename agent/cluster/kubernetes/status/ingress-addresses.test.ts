import { expect, test } from 'vitest';
import { addressesOf, addressesOfNodes, addressesOfService, nodeAddresses } from './ingress-addresses.ts';

interface Node {
  readonly internal?: string;
  readonly external?: string;
  readonly ready?: string;
  readonly unschedulable?: boolean;
}

function node({ internal, external, ready = 'True', unschedulable = false }: Node) {
  const addresses = [
    { type: 'Hostname', address: 'n1' },
    ...(internal === undefined ? [] : [{ type: 'InternalIP', address: internal }]),
    ...(external === undefined ? [] : [{ type: 'ExternalIP', address: external }]),
  ];
  const status = { addresses, conditions: [{ type: 'Ready', status: ready }] };
  return { metadata: { name: 'n1' }, spec: { unschedulable }, status };
}

test('IP addresses and host names', () => {
  expect(addressesOf(['203.0.113.7', '2001:db8::1', 'gate.example'])).toEqual([
    { ip: '203.0.113.7' },
    { ip: '2001:db8::1' },
    { hostname: 'gate.example' },
  ]);
});

test.each([
  ['its external address', { internal: '10.0.0.1', external: '203.0.113.1' }, ['203.0.113.1']],
  ['else its internal one', { internal: '10.0.0.1' }, ['10.0.0.1']],
  ['none while it is not ready', { internal: '10.0.0.1', ready: 'Unknown' }, []],
  ['none while it is cordoned', { internal: '10.0.0.1', unschedulable: true }, []],
] as const)('a node: %s', (_what, shape, expected) => {
  expect(nodeAddresses(node(shape))).toEqual(expected);
});

test('of many nodes sixteen, the same ones each time', () => {
  const many = Array.from({ length: 40 }, (_, at) => [`10.0.0.${at + 100}`]);
  expect(addressesOfNodes(many)).toEqual(addressesOfNodes(many.toReversed()));
  expect(addressesOfNodes(many)).toHaveLength(16);
  expect(addressesOfNodes([['10.0.0.1'], ['10.0.0.1']])).toEqual([{ ip: '10.0.0.1' }]);
});

function service(spec: object, ingress?: object[]) {
  return { metadata: { name: 'gate' }, spec, status: { loadBalancer: ingress === undefined ? {} : { ingress } } };
}

test.each([
  ['a balancer', service({ type: 'LoadBalancer' }, [{ ip: '203.0.113.1' }, { hostname: 'lb' }]), ['203.0.113.1', 'lb']],
  ['a balancer that is not there yet', service({ type: 'LoadBalancer', clusterIPs: ['10.96.0.1'] }), []],
  ['external addresses', service({ externalIPs: ['203.0.113.2'], clusterIPs: ['10.96.0.1'] }), ['203.0.113.2']],
  ['inside the cluster', service({ type: 'NodePort', clusterIPs: ['10.96.0.1', 'fd00::1'] }), ['10.96.0.1', 'fd00::1']],
  ['headless', service({ clusterIPs: ['None'] }), []],
  ['a name', service({ type: 'ExternalName', externalName: 'gate.example' }), ['gate.example']],
])('a Service: %s', (_what, object, expected) => {
  expect(addressesOfService(object)).toEqual(addressesOf(expected));
});
