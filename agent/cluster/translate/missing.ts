import { HeadgateError } from '../../../lib/errors.ts';
import type { SecretManifest, ServiceManifest } from '../../../lib/manifest/manifest.ts';
import type { Problem } from '../../../proto/gen/headgate/v1/reported.ts';
import { covers, type UsableCertificate } from './certificate.ts';
import type { IngressView } from './ingress.ts';
import { type Fault, problemOfError } from './problems.ts';
import { tcpPorts } from './service.ts';

/** Services and ports that an Ingress routes to and that are not there. Maps are by `<namespace>/<name>`. */
export function missingBackends(
  { body: { namespace }, backends }: IngressView,
  services: ReadonlyMap<string, ServiceManifest>,
): Fault[] {
  return backends.flatMap(({ field, ref }): Fault[] => {
    const title = `Service ${namespace}/${ref.service}`;
    const service = services.get(`${namespace}/${ref.service}`);
    if (service === undefined) {
      const remedy = 'add the Service, or correct the name; until then this cluster serves nothing here';
      return [{ code: 'HG1003', field: `${field}.name`, message: `${title} is not there`, remedy, severity: 'error' }];
    }
    const ports = tcpPorts(service);
    if (ports.some(({ name, number }) => (ref.portName === '' ? number === ref.portNumber : name === ref.portName))) {
      return [];
    }
    const message = `${title} has no TCP port ${ref.portName === '' ? ref.portNumber : `"${ref.portName}"`}`;
    const there = ports.map(({ name, number }) => (name === '' ? number : `${number} ("${name}")`)).join(', ');
    const remedy = there === '' ? 'give the Service a port' : `use one that it has: ${there}`;
    return [{ code: 'HG1003', field: `${field}.port`, message, remedy, severity: 'error' }];
  });
}

/** Why a Secret cannot be looked at. */
export type SecretFault = Pick<Fault, 'code' | 'message' | 'remedy'>;

/**
 * Secrets that an Ingress names and that are not there, and hosts that their certificates are not for.
 * @param secretState of a Secret that is not known to be there or absent: `unknown` where nobody has looked yet.
 */
export function missingCertificates(
  { body: { namespace }, tls }: IngressView,
  secrets: ReadonlyMap<string, SecretManifest>,
  certificates: ReadonlyMap<string, UsableCertificate>,
  secretState: (key: string) => SecretFault | 'unknown' | 'known',
): Fault[] {
  return tls.flatMap(({ field, secret, hosts }): Fault[] => {
    const key = `${namespace}/${secret}`;
    const state = secretState(key);
    if (typeof state === 'object') return [{ ...state, field: `${field}.secretName`, severity: 'error' }];
    if (!secrets.has(key)) {
      if (state === 'unknown') return [];
      const message = `Secret ${key} is not there`;
      const remedy = 'add the Secret, or correct the name; until then the hosts have no certificate here';
      return [{ code: 'HG1003', field: `${field}.secretName`, message, remedy, severity: 'error' }];
    }
    const certificate = certificates.get(key);
    if (certificate === undefined) return [];
    return hosts.flatMap(({ host, field: at }): Fault[] => {
      if (at === undefined || covers(certificate, host)) return [];
      const message = `the certificate of Secret ${key} is not for "${host}", so it is not used for it`;
      const remedy = 'name a Secret whose certificate has the host among its DNS names';
      return [{ code: 'HG1004', field: at, message, remedy, severity: 'warning' }];
    });
  });
}

/** The Secret that the agent's flag names is not there. */
export function missingDefault(secret: string): Problem {
  const [namespace = '', name = ''] = secret.split('/');
  const error = new HeadgateError(
    'HG1003',
    `Secret ${secret} is not there, so the default certificate is a self-made one`,
    {
      remedy: 'add the Secret, or correct the agent’s --default-certificate',
    },
  );
  return problemOfError(error, { kind: 'Secret', namespace, name });
}
