import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

/** What every pod of the demo answers. */
export interface Answer {
  readonly cluster: string;
  readonly pod: string;
}

/**
 * The demo's pods: small HTTP servers on loopback, run in a process of their own so that load and pods do not
 * share a thread. Started by `startPods`; talks over Node's IPC.
 */
function serve(cluster: string, pod: string): Server {
  const body = JSON.stringify({ cluster, pod } satisfies Answer);
  const server = createServer((_request, response) => {
    response.writeHead(200, { 'content-type': 'application/json', 'content-length': body.length });
    response.end(body);
  });
  // Longer than HAProxy keeps idle connections, so that the pod is never the one to close.
  server.keepAliveTimeout = 120_000;
  server.listen(0, '127.0.0.1');
  return server;
}

if (process.send !== undefined && process.argv[1] === import.meta.filename) {
  const pods = process.argv.slice(2);
  const ports: Record<string, number> = {};
  let listening = 0;
  for (const pod of pods) {
    const server = serve(pod.split('-')[0] ?? '', pod);
    server.on('listening', () => {
      ports[pod] = (server.address() as AddressInfo).port;
      listening += 1;
      if (listening === pods.length) process.send?.(ports);
    });
  }
  // The parent is gone: so are the pods.
  process.on('disconnect', () => process.exit(0));
}
