import { type TestLeaf, testCa } from '../../../agent/haproxy/testing/certificates.fixture.ts';
import { X509Certificate } from 'node:crypto';
import { endpointSlice, ingress, service } from '../../../cli/demo/manifests.ts';
import { application, baseHost, type BenchFleet, OPEN } from './bench-fleet.ts';
import { firstSeen, type Look, presented } from './poller.ts';

/** Where changes are made. */
const HOME = 'eu';
const AWAY = 'us';

export interface Change {
  /** Makes the change. @returns when it was made, on the clock of `performance.now`. */
  readonly act: () => Promise<number>;
  /** When each entry first showed it; looking has begun before it is made. */
  readonly looks: readonly { readonly cluster: string; readonly at: Promise<number> }[];
}

/** One kind of change, made again and again. */
export interface Kind {
  readonly name: string;
  /** Rows of the result: the last of these entries counts. */
  readonly rows: ReadonlyMap<string, readonly string[]>;
  change(number: number): Change;
}

export type SetWeights = (host: string, weights: Readonly<Record<string, number>>) => Promise<unknown>;

const hosts = {
  path: 'path.open.example',
  endpoint: 'endpoint.open.example',
  certificate: 'certificate.open.example',
} as const;

/** The kinds of change that a fleet must carry without a reload, and what each needs to begin with. */
export class Changes {
  readonly kinds: readonly Kind[];
  readonly #fleet: BenchFleet;

  private constructor(fleet: BenchFleet, setWeights: SetWeights, leaves: readonly TestLeaf[]) {
    this.#fleet = fleet;
    const all = fleet.clusters;
    this.kinds = [
      { name: 'host', rows: new Map([['host', all]]), change: (i) => this.#host(i) },
      { name: 'path', rows: new Map([['path', all]]), change: (i) => this.#path(i) },
      { name: 'weight', rows: new Map([['weight', all]]), change: (i) => this.#weight(i, setWeights) },
      {
        name: 'endpoint',
        rows: new Map([
          ['endpoint, own cluster', [HOME]],
          ['endpoint', all],
        ]),
        change: (i) => this.#endpoint(i),
      },
      {
        name: 'certificate',
        rows: new Map([['certificate, own cluster', [HOME]]]),
        change: (i) => this.#certificate(i, leaves),
      },
    ];
  }

  static async prepare(fleet: BenchFleet, setWeights: SetWeights): Promise<Changes> {
    const ca = await testCa();
    const leaves = await Promise.all([0, 1].map(async () => await ca.leaf(hosts.certificate)));
    const changes = new Changes(fleet, setWeights, leaves);
    const folder = fleet.processes.folder(HOME);
    const plain = application(OPEN, 'certificate', hosts.certificate, fleet.pods(HOME, 1));
    const tls = `  tls: [{ hosts: [${hosts.certificate}], secretName: certificate }]\n  rules:`;
    folder.write('certificate.yaml', plain.replace('  rules:', tls));
    folder.write('endpoint.yaml', `${ingress(OPEN, 'endpoint', hosts.endpoint)}${service(OPEN, 'endpoint')}`);
    changes.#writePath(undefined);
    changes.#writeEndpoints(0);
    changes.#writeCertificate(leaves[1]);
    await setWeights(baseHost(0), { [HOME]: 1, [AWAY]: 0 });
    for (const host of [hosts.path, hosts.endpoint, hosts.certificate]) {
      const looks = changes.#everywhere(async (cluster) => await changes.#status(cluster, host, '/'), `host ${host}`);
      await Promise.all(looks.map(async ({ at }) => await at));
    }
    return changes;
  }

  #host(number: number): Change {
    const name = `new-${number}`;
    const host = `${name}.open.example`;
    const folder = this.#fleet.processes.folder(HOME);
    // The last one goes first, so that the fleet stays as large as it was.
    if (number > 0) folder.remove(`new-${number - 1}.yaml`);
    return {
      looks: this.#everywhere(async (cluster) => await this.#status(cluster, host, '/'), 'a new host'),
      act: written(() => folder.write(`${name}.yaml`, application(OPEN, name, host, this.#fleet.pods(HOME, 1)))),
    };
  }

  #path(number: number): Change {
    return {
      looks: this.#everywhere(
        async (cluster) => await this.#status(cluster, hosts.path, `/p${number}/x`),
        'a new path',
      ),
      act: written(() => this.#writePath(number)),
    };
  }

  #weight(number: number, setWeights: SetWeights): Change {
    const [from, to] = number % 2 === 0 ? [HOME, AWAY] : [AWAY, HOME];
    return {
      looks: this.#everywhere(
        async (cluster) => (await this.#pod(cluster, baseHost(0))).startsWith(`${to}-`),
        'a new weight',
      ),
      act: async () => {
        await setWeights(baseHost(0), { [from]: 0, [to]: 1 });
        return performance.now();
      },
    };
  }

  #endpoint(number: number): Change {
    const wanted = (number + 1) % 2;
    const pod = [...this.#fleet.pods(HOME).keys()][wanted];
    return {
      looks: this.#everywhere(
        async (cluster) => (await this.#pod(cluster, hosts.endpoint)) === pod,
        'another endpoint',
      ),
      act: written(() => this.#writeEndpoints(wanted)),
    };
  }

  #certificate(number: number, leaves: readonly TestLeaf[]): Change {
    const leaf = leaves[number % 2];
    const wanted = new X509Certificate(leaf?.certificate ?? '').fingerprint256;
    const { https } = this.#fleet.processes.cluster(HOME);
    const look: Look = async () => (await presented(https, hosts.certificate)) === wanted;
    return {
      looks: [{ cluster: HOME, at: firstSeen(look, 'a new certificate') }],
      act: written(() => this.#writeCertificate(leaf)),
    };
  }

  #everywhere(look: (cluster: string) => Promise<boolean>, what: string): Change['looks'] {
    return this.#fleet.clusters.map((cluster) => ({
      cluster,
      at: firstSeen(async () => await look(cluster), `${what} at ${cluster}`),
    }));
  }

  async #status(cluster: string, host: string, path: string): Promise<boolean> {
    return (await this.#fleet.connection(cluster).get(host, path)).status === 200;
  }

  /** Name of the pod that answers; '' where none does. */
  async #pod(cluster: string, host: string): Promise<string> {
    const { body } = await this.#fleet.connection(cluster).get(host, '/');
    return /"pod":"([^"]+)"/.exec(body)?.[1] ?? '';
  }

  #writePath(number: number | undefined): void {
    const rule = ingress(OPEN, 'path', hosts.path);
    const more =
      number === undefined
        ? ''
        : `      - path: /p${number}\n        pathType: Prefix\n        backend: { service: { name: path, port: { name: http } } }\n`;
    // Whatever has no path of its own is not found, so that a new path is seen by its status.
    const text = rule.replace('pathType: Prefix', 'pathType: Exact');
    const slices = [...this.#fleet.pods(HOME, 1)].map(([pod, port]) => endpointSlice(OPEN, 'path', pod, port));
    this.#fleet.processes.folder(HOME).write('path.yaml', `${text}${more}${service(OPEN, 'path')}${slices.join('')}`);
  }

  /** @param ready index of the one pod that is ready. */
  #writeEndpoints(ready: number): void {
    const slices = [...this.#fleet.pods(HOME)].map(([pod, port], i) =>
      endpointSlice(OPEN, 'endpoint', pod, port, i === ready),
    );
    this.#fleet.processes.folder(HOME).write('endpoint-slices.yaml', slices.join(''));
  }

  #writeCertificate(leaf: TestLeaf | undefined): void {
    this.#fleet.processes.folder(HOME).write(
      'certificate-secret.yaml',
      `apiVersion: v1
kind: Secret
metadata: { name: certificate, namespace: ${OPEN} }
type: kubernetes.io/tls
data: { tls.crt: ${base64(leaf?.certificate)}, tls.key: ${base64(leaf?.key)} }
`,
    );
  }
}

function base64(text: string | undefined): string {
  return Buffer.from(text ?? '').toString('base64');
}

/** Writing returns when the file has been renamed. */
function written(write: () => void): () => Promise<number> {
  return () => {
    write();
    return Promise.resolve(performance.now());
  };
}
