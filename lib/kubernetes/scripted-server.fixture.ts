import { once } from 'node:events';
import { createSecureServer, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { importPair, makeKey } from '../identity/key.ts';
import { signingAlgorithm, x509 } from '../identity/x509.ts';

export interface Asked {
  readonly method: string;
  readonly url: URL;
  readonly authorization: string | undefined;
}

/** What the server does with one request. */
export type Step = (stream: ServerHttp2Stream, asked: Asked) => void;

/** An HTTPS server that answers requests by a script, one step for each, and hangs where the script has ended. */
export class ScriptedServer implements AsyncDisposable {
  readonly asked: Asked[] = [];
  readonly kubeconfig: string;
  readonly #steps: Step[] = [];
  readonly #server: ReturnType<typeof createSecureServer>;
  readonly #sessions = new Set<ServerHttp2Session>();

  private constructor(kubeconfig: string, server: ReturnType<typeof createSecureServer>) {
    this.kubeconfig = kubeconfig;
    this.#server = server;
    server.on('session', (session) => {
      this.#sessions.add(session);
      session.once('close', () => this.#sessions.delete(session));
      session.on('error', () => undefined);
    });
    server.on('stream', (stream, headers) => {
      stream.on('error', () => undefined);
      const asked = {
        method: String(headers[':method']),
        url: new URL(String(headers[':path']), 'https://server'),
        authorization: headers.authorization,
      };
      this.asked.push(asked);
      this.#steps.shift()?.(stream, asked);
    });
  }

  /** @param folder for a kubeconfig and its token file, `token`. */
  static async start(folder: string): Promise<ScriptedServer> {
    const key = await makeKey();
    const keys = await importPair(key);
    const certificate = await x509.X509CertificateGenerator.createSelfSigned({
      name: 'CN=scripted',
      notAfter: new Date(Date.now() + 3_600_000),
      keys,
      signingAlgorithm,
      extensions: [new x509.SubjectAlternativeNameExtension([{ type: 'ip', value: '127.0.0.1' }])],
    });
    const pem = certificate.toString('pem');
    const server = createSecureServer({ key, cert: pem, settings: { maxConcurrentStreams: 100 } });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    const port = address === null || typeof address === 'string' ? 0 : address.port;
    const kubeconfig = join(folder, 'kubeconfig');
    await writeFile(join(folder, 'token'), 'first\n');
    await writeFile(
      kubeconfig,
      stringify({
        'current-context': 'context',
        contexts: [{ name: 'context', context: { cluster: 'cluster', user: 'user' } }],
        clusters: [
          {
            name: 'cluster',
            cluster: {
              server: `https://127.0.0.1:${port}`,
              'certificate-authority-data': Buffer.from(pem).toString('base64'),
            },
          },
        ],
        users: [{ name: 'user', user: { tokenFile: 'token' } }],
      }),
    );
    return new ScriptedServer(kubeconfig, server);
  }

  next(...steps: readonly Step[]): void {
    this.#steps.push(...steps);
  }

  /** What was asked for, in short: path and the parts of the query that matter. */
  get paths(): string[] {
    return this.asked.map(({ url }) =>
      url.searchParams.has('watch')
        ? `watch ${url.searchParams.get('resourceVersion')}`
        : `list ${url.searchParams.get('continue') ?? ''}`.trim(),
    );
  }

  /** Resets every connection. */
  cut(): void {
    for (const { socket } of this.#sessions) socket.destroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, 'close');
    this.#server.close();
    for (const session of this.#sessions) session.destroy();
    await closed;
  }
}

export function object(name: string, version: string, fields: object = {}): object {
  return { metadata: { namespace: 'shop', name, uid: `uid-${name}`, resourceVersion: version }, ...fields };
}

/** @param next `continue`, where it is not the last page. */
export function list(version: string, items: readonly object[], next = ''): Step {
  return json(200, { metadata: { resourceVersion: version, ...(next === '' ? {} : { continue: next }) }, items });
}

export function refuse(code: number, reason: string, headers: Readonly<Record<string, string>> = {}): Step {
  return json(code, { kind: 'Status', code, reason, message: `no: ${reason}` }, headers);
}

function json(status: number, body: object, headers: Readonly<Record<string, string>> = {}): Step {
  return (stream) => {
    stream.respond({ ':status': status, 'content-type': 'application/json', ...headers });
    stream.end(JSON.stringify(body));
  };
}

/** A watch that brings these and stays open. */
export function watch(...events: readonly (readonly [type: string, object: object])[]): Step {
  return (stream) => {
    stream.respond({ ':status': 200 });
    for (const [type, object] of events) stream.write(`${JSON.stringify({ type, object })}\n`);
  };
}

/** What a step did, and then the end of the stream. */
export function ended(step: Step): Step {
  return (stream, asked) => {
    step(stream, asked);
    stream.end();
  };
}

export const hang: Step = () => undefined;

export const reset: Step = (stream) => stream.session?.socket.destroy();
