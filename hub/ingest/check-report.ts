import { isIP } from 'node:net';
import { parseAddress } from '../../lib/config/address.ts';
import { ANY_HOST, validHost } from '../../lib/domain/host-name.ts';
import { resourceTypes, type ResourceType } from '../../lib/domain/resource-types.ts';
import { isRoutePath } from '../../lib/domain/rule-path.ts';
import { type Code, HeadgateError, unreachable } from '../../lib/errors.ts';
import { isLabel } from '../../lib/identity/identity.ts';
import { issueFaults } from '../../lib/manifest/issue-faults.ts';
import { fieldPath } from '../../lib/manifest/yaml-documents.ts';
import { policyKinds } from '../../lib/policy/schemas.ts';
import type { Resource } from '../../lib/sync/index.ts';
import { HostSplit, PathType } from '../../proto/gen/headgate/v1/configured.ts';
import {
  BackendHealth,
  type BackendRef,
  CertificateInfo,
  ClusterInfo,
  Ingress,
  NodeInfo,
  Policy,
  Problem,
  Service,
  Verdict,
} from '../../proto/gen/headgate/v1/reported.ts';

/** Bytes of one body; leaves room in a stored value for the ages of its claims and the rules that a guard keeps. */
export const MAX_BODY_BYTES = 300 * 1024;

const subdomain = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
/** Of any release; it becomes the value of a metric's label. */
const errorCode = /^HG[0-9]{4}$/;
const portName = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/;
/** What a line, a key or a terminal would trip over: control and invisible characters, line ends of any kind. */
const unprintable = /[\p{C}\p{Zl}\p{Zp}]/u;

/**
 * Judges a reported resource anew: the agent did it before, but a hub believes no agent. A body of a type that
 * this hub does not know passes as it is. An ingress comes back decoded.
 *
 * @throws HeadgateError HG3006 when it cannot be decoded or its name is not its body's, HG1002, or the code of a
 * policy's own rule, when a field is out of range. `field` says which.
 */
export function checkReport({ type, name, body }: Resource): Ingress | undefined {
  if (body.length > MAX_BODY_BYTES) fail('HG1002', `its body has ${body.length} bytes; at most ${MAX_BODY_BYTES}`);
  if (!/^[a-z][a-z0-9-]{0,62}$/.test(type)) fail('HG3006', 'its type is malformed');
  if (name === '' || name.length > 1024 || unprintable.test(name)) fail('HG3006', 'its name is malformed');
  if (!isKnown(type)) return undefined;
  switch (type) {
    case 'ingress':
      return checkIngress(name, body);
    case 'service':
      checkService(name, body);
      break;
    case 'policy':
      checkPolicy(name, body);
      break;
    case 'certificate': {
      const { namespace, secret } = decode(CertificateInfo, body);
      named(name, `${namespace}/${secret}`);
      objectName(namespace, secret);
      break;
    }
    case 'cluster':
      decode(ClusterInfo, body);
      named(name, 'self');
      break;
    case 'node': {
      const node = decode(NodeInfo, body);
      named(name, node.name);
      if (!isLabel(name)) fail('HG1002', 'must be an RFC 1123 label', 'name');
      checkGatewayAddress(node.gatewayAddress);
      break;
    }
    case 'problem': {
      const { code, kind, namespace, name: object, field } = decode(Problem, body);
      named(name, `${code}/${kind}/${namespace === '' ? '-' : namespace}/${object}${field === '' ? '' : `#${field}`}`);
      if (!errorCode.test(code)) fail('HG1002', 'must be HG and four digits', 'code');
      break;
    }
    case 'verdict': {
      const verdict = decode(Verdict, body);
      named(name, `${verdict.type}/${verdict.name}`);
      for (const [index, { code }] of verdict.rejections.entries())
        if (!errorCode.test(code)) fail('HG1002', 'must be HG and four digits', `rejections[${index}].code`);
      break;
    }
    case 'health':
      checkHealth(name, body);
      break;
    case 'split': {
      const { host } = decode(HostSplit, body);
      named(name, host);
      if (host !== ANY_HOST && !validHost(host)) fail('HG1002', 'must be a host name', 'host');
      break;
    }
    case 'host':
    case 'backend':
    case 'peer':
    case 'settings':
    case 'endpoints':
    case 'own-certificate':
    case 'status':
      return fail('HG3006', 'this type never travels up');
    default:
      return unreachable(type);
  }
  return undefined;
}

function isKnown(type: string): type is ResourceType {
  return Object.hasOwn(resourceTypes, type);
}

function checkIngress(name: string, body: Uint8Array): Ingress {
  const ingress = decode(Ingress, body);
  named(name, `${ingress.namespace}/${ingress.name}`);
  objectName(ingress.namespace, ingress.name);
  for (const [index, { host, pathType, path, backend }] of ingress.rules.entries()) {
    const at = `rules[${index}]`;
    if (host !== '' && !validHost(host))
      fail('HG1002', 'must be a lower-case host name, or "*." and one', `${at}.host`);
    if (pathType !== PathType.EXACT && pathType !== PathType.PREFIX && pathType !== PathType.REGEX)
      fail('HG1002', 'must be Exact, Prefix or a regular expression', `${at}.path_type`);
    if (!isRoutePath(pathType, path)) fail('HG1002', 'must be a path in normal form', `${at}.path`);
    if (pathType === PathType.REGEX && host === '') fail('HG1002', 'needs a host', `${at}.path_type`);
    if (backend === undefined) fail('HG1002', 'is missing', `${at}.backend`);
    else checkBackend(backend, `${at}.backend`);
  }
  if (ingress.defaultBackend !== undefined) checkBackend(ingress.defaultBackend, 'default_backend');
  for (const [index, { hosts, secret }] of ingress.tls.entries()) {
    if (!hosts.every((host) => validHost(host))) fail('HG1002', 'must be host names', `tls[${index}].hosts`);
    if (secret !== '' && !isSubdomain(secret)) fail('HG1002', 'must be an RFC 1123 subdomain', `tls[${index}].secret`);
  }
  return ingress;
}

function checkBackend({ service, portNumber, portName: port }: BackendRef, field: string): void {
  if (!isLabel(service)) fail('HG1002', 'must be an RFC 1123 label', `${field}.service`);
  if ((portNumber === 0) === (port === '')) fail('HG1002', 'needs exactly one of port_number and port_name', field);
  if (portNumber > 65_535) fail('HG1002', 'must be 1 to 65535', `${field}.port_number`);
  if (port !== '' && (port.length > 63 || !portName.test(port)))
    fail('HG1002', 'must be a port name', `${field}.port_name`);
}

function checkService(name: string, body: Uint8Array): void {
  const service = decode(Service, body);
  named(name, `${service.namespace}/${service.name}`);
  objectName(service.namespace, service.name);
  for (const [index, port] of service.ports.entries()) {
    if (port.number < 1 || port.number > 65_535) fail('HG1002', 'must be 1 to 65535', `ports[${index}].number`);
    if (port.name !== '' && (port.name.length > 63 || !portName.test(port.name)))
      fail('HG1002', 'must be a port name', `ports[${index}].name`);
  }
}

function checkHealth(name: string, body: Uint8Array): void {
  const { namespace, service, port, impaired } = decode(BackendHealth, body);
  named(name, `${namespace}/${service}/${port}`);
  if (!isLabel(namespace)) fail('HG1002', 'must be an RFC 1123 label', 'namespace');
  if (!isLabel(service)) fail('HG1002', 'must be an RFC 1123 label', 'service');
  if (port.length > 63 || !portName.test(port)) fail('HG1002', 'must be a number or a port name', 'port');
  for (const [index, { node, live, total }] of impaired.entries()) {
    if (!isLabel(node)) fail('HG1002', 'must be an RFC 1123 label', `impaired[${index}].node`);
    if (live >= total) fail('HG1002', 'must be less than total', `impaired[${index}].live`);
  }
}

function checkPolicy(name: string, body: Uint8Array): void {
  const { kind, namespace, name: object, specJson } = decode(Policy, body);
  named(name, `${kind}/${namespace}/${object}`);
  objectName(namespace, object);
  const known = Object.hasOwn(policyKinds, kind) ? policyKinds[kind as keyof typeof policyKinds] : undefined;
  if (known?.scope !== 'anywhere') return fail('HG1002', 'no kind that a member cluster may report', 'kind');
  let spec: unknown;
  try {
    spec = JSON.parse(specJson);
  } catch (thrown) {
    return fail('HG3006', 'is not JSON', 'spec_json', thrown);
  }
  const parsed = known.spec.safeParse(spec);
  const [fault] = parsed.error === undefined ? [] : issueFaults(parsed.error, spec);
  if (fault !== undefined) fail(fault.code, fault.message, fieldPath(['spec', ...fault.path]));
}

function decode<T>(message: { decode(body: Uint8Array): T }, body: Uint8Array): T {
  try {
    return message.decode(body);
  } catch (thrown) {
    return fail('HG3006', 'its body cannot be decoded', undefined, thrown);
  }
}

function named(name: string, byBody: string): void {
  if (name !== byBody) fail('HG3006', 'its name is not the one in its body', 'name');
}

/** Every other cluster gets it. Empty: the node's gateway is not reached from elsewhere. */
/** Other clusters' HAProxies resolve no name for a server that comes at runtime. */
function checkGatewayAddress(text: string): void {
  if (text === '') return;
  let cause: unknown;
  try {
    if (isIP(parseAddress(text).host) !== 0) return;
  } catch (thrown) {
    cause = thrown;
  }
  fail('HG1002', 'must be an IP address and a port', 'gateway_address', cause);
}

function objectName(namespace: string, name: string): void {
  if (!isLabel(namespace)) fail('HG1002', 'must be an RFC 1123 label', 'namespace');
  if (!isSubdomain(name)) fail('HG1002', 'must be an RFC 1123 subdomain', 'name');
}

function isSubdomain(text: string): boolean {
  return text.length <= 253 && subdomain.test(text);
}

function fail(code: Code, message: string, field?: string, cause?: unknown): never {
  throw new HeadgateError(code, message, { ...(field === undefined ? {} : { field }), cause });
}
