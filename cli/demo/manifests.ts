import { mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** Ordinary Kubernetes manifests, as the demo's user finds them in the clusters' folders. */
export function ingress(namespace: string, name: string, host: string, service = name): string {
  return `apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: { name: ${name}, namespace: ${namespace} }
spec:
  ingressClassName: headgate
  rules:
  - host: ${host}
    http:
      paths:
      - path: /
        pathType: Prefix
        backend: { service: { name: ${service}, port: { name: http } } }
`;
}

export function service(namespace: string, name: string): string {
  return `---
apiVersion: v1
kind: Service
metadata: { name: ${name}, namespace: ${namespace} }
spec:
  ports:
  - { name: http, port: 80, targetPort: 8080 }
`;
}

/** One slice per pod: on loopback every pod has a port of its own. */
export function endpointSlice(namespace: string, name: string, pod: string, port: number, ready = true): string {
  return `---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: ${name}-${pod}
  namespace: ${namespace}
  labels: { kubernetes.io/service-name: ${name} }
addressType: IPv4
ports:
- { name: http, port: ${port} }
endpoints:
- addresses: [127.0.0.1]
  conditions: { ready: ${ready} }
`;
}

export const ingressClass = `apiVersion: networking.k8s.io/v1
kind: IngressClass
metadata: { name: headgate }
spec: { controller: headgate.dev/ingress }
`;

/** A folder of manifests: what one demo cluster consists of. */
export class Folder {
  readonly path: string;

  constructor(path: string) {
    this.path = path;
    mkdirSync(path, { recursive: true });
  }

  /** Writes as editors do: a temporary file, then a rename. Returns when the rename is done. */
  write(file: string, text: string): void {
    const target = join(this.path, file);
    mkdirSync(dirname(target), { recursive: true });
    const temporary = join(this.path, `.${file.replaceAll('/', '_')}.tmp`);
    writeFileSync(temporary, text);
    renameSync(temporary, target);
  }

  remove(file: string): void {
    rmSync(join(this.path, file), { force: true });
  }
}
