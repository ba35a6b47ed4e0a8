import { connect, type ClientHttp2Session } from 'node:http2';

import type { Clock } from '../../lib/clock.ts';
import type { Log } from '../../lib/log.ts';
import type { Peer } from '../../proto/gen/headgate/v1/configured.ts';
import type { GatewayCredentials } from '../haproxy/data-plane.ts';
import { PROBE_PATH, ROUTE_HEADER } from '../haproxy/model/names.ts';

/** One probe a second and peer; down after this many misses in a row, up after one answer. */
const INTERVAL_MS = 1_000;
const MISSES = 3;
const TIMEOUT_MS = 900;
/** Route probes in flight per peer while the hub is lost. */
const ROUTES_AT_ONCE = 64;

export interface ProberOptions {
  readonly peers: () => readonly Peer[];
  readonly credentials: () => GatewayCredentials;
  /** Called when a peer's reachability changes. */
  readonly onReachable: (cluster: string, reachable: boolean) => void;
  /** Routes to ask a peer about; empty while the hub is connected. */
  readonly routes: (cluster: string) => Iterable<{ readonly host: string; readonly routeId: string }>;
  readonly onRoute: (cluster: string, host: string, routeId: string, live: boolean) => void;
  readonly clock: Clock;
  readonly log: Log;
}

interface Watched {
  misses: number;
  readonly sessions: Map<string, ClientHttp2Session>;
}

/** Asks every peer's gateways over their mutual TLS whether they serve, and while the hub is lost which routes. */
export class Prober {
  readonly #options: ProberOptions;
  readonly #watched = new Map<string, Watched>();

  constructor(options: ProberOptions) {
    this.#options = options;
  }

  /** Probes until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    try {
      while (!signal.aborted) {
        const started = this.#options.clock.now();
        const peers = this.#options.peers();
        this.#forgetAllBut(peers);
        await Promise.all(peers.map(async (peer) => await this.#round(peer)));
        await this.#options.clock.sleep(Math.max(0, started + INTERVAL_MS - this.#options.clock.now()), signal);
      }
    } catch (thrown) {
      if (!signal.aborted) throw thrown;
    } finally {
      this.#forgetAllBut([]);
    }
  }

  async #round(peer: Peer): Promise<void> {
    let watched = this.#watched.get(peer.cluster);
    if (watched === undefined) this.#watched.set(peer.cluster, (watched = { misses: 0, sessions: new Map() }));
    for (const [address, session] of watched.sessions) if (!peer.addresses.includes(address)) session.destroy();
    const answers = await Promise.all(
      peer.addresses.map(async (address) => await this.#ask(watched, peer, address, undefined)),
    );
    const live = answers.findIndex((status) => status === 200);
    if (live >= 0) {
      if (watched.misses >= MISSES) this.#options.log.info('gateway answers again', { peer: peer.cluster });
      watched.misses = 0;
      this.#options.onReachable(peer.cluster, true);
      await this.#routes(watched, peer, peer.addresses[live] ?? '');
      return;
    }
    watched.misses += 1;
    if (watched.misses === MISSES) {
      this.#options.log.warn('gateway does not answer', { peer: peer.cluster, misses: MISSES });
      this.#options.onReachable(peer.cluster, false);
    }
  }

  async #routes(watched: Watched, peer: Peer, address: string): Promise<void> {
    const routes = this.#options.routes(peer.cluster)[Symbol.iterator]();
    const worker = async (): Promise<void> => {
      for (let next = routes.next(); next.done !== true; next = routes.next()) {
        const { host, routeId } = next.value;
        const status = await this.#ask(watched, peer, address, routeId);
        if (status === 200 || status === 503) this.#options.onRoute(peer.cluster, host, routeId, status === 200);
      }
    };
    await Promise.all(Array.from({ length: ROUTES_AT_ONCE }, worker));
  }

  /** @returns the HTTP status, or undefined where no answer came in time. */
  async #ask(watched: Watched, peer: Peer, address: string, routeId: string | undefined): Promise<number | undefined> {
    let session: ClientHttp2Session;
    try {
      session = this.#session(watched, peer, address);
    } catch (error) {
      // Another cluster says the address: whatever it is, it must not end this agent.
      this.#options.log.debug('gateway cannot be asked', { peer: peer.cluster, address, error });
      return undefined;
    }
    return await new Promise((resolve) => {
      let answered = false;
      const end = (status: number | undefined): void => {
        if (answered) return;
        answered = true;
        // A session that let one probe down is made anew: it may be half open.
        if (status === undefined) session.destroy();
        resolve(status);
      };
      const request = session.request({
        ':path': PROBE_PATH,
        ':authority': peer.serverName,
        ...(routeId === undefined ? {} : { [ROUTE_HEADER]: routeId }),
      });
      request.setTimeout(TIMEOUT_MS, () => request.close());
      request.on('response', (headers) => {
        request.resume();
        end(headers[':status']);
      });
      request.on('error', () => end(undefined));
      request.on('close', () => end(undefined));
      request.end();
    });
  }

  #session(watched: Watched, peer: Peer, address: string): ClientHttp2Session {
    const open = watched.sessions.get(address);
    if (open !== undefined && !open.destroyed && !open.closed) return open;
    const { certificate, privateKey, ca } = this.#options.credentials();
    const session = connect(`https://${address}`, {
      ca,
      cert: certificate,
      key: privateKey,
      servername: peer.serverName,
    });
    // Errors reach every request of the session too; without a listener they would end the process.
    session.on('error', () => undefined);
    session.on('close', () => {
      if (watched.sessions.get(address) === session) watched.sessions.delete(address);
    });
    session.unref();
    watched.sessions.set(address, session);
    return session;
  }

  #forgetAllBut(peers: readonly Peer[]): void {
    const kept = new Set(peers.map(({ cluster }) => cluster));
    for (const [cluster, { sessions }] of this.#watched) {
      if (kept.has(cluster)) continue;
      for (const session of sessions.values()) session.destroy();
      this.#watched.delete(cluster);
    }
  }
}
