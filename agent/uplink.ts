import type { Clock } from '../lib/clock.ts';
import type { Identity } from '../lib/identity/identity.ts';
import type { Log } from '../lib/log.ts';
import { dialRpc, withReconnect, type DialOptions, type RpcConnection } from '../lib/rpc/index.ts';
import {
  pipePair,
  Receiver,
  Sender,
  type Pipe,
  type Publication,
  type ReceiverSink,
  type Speaker,
} from '../lib/sync/index.ts';
import type { ReceiverFrame, SenderFrame } from '../proto/gen/headgate/v1/sync.ts';

/** What an agent exchanges with the next hop up: reports go there, configuration comes from there. */
export interface Exchange {
  readonly reports: Publication;
  readonly sink: ReceiverSink;
  readonly clock: Clock;
  readonly log: Log;
}

export interface UplinkOptions extends Exchange {
  /** HOST:PORT, in the order to try. */
  readonly addresses: readonly string[];
  readonly tls: () => DialOptions['tls'];
  readonly expect: (identity: Identity) => boolean;
  readonly speaker?: Speaker;
  /** Called with true when the copy of the next hop's word is complete, with false when the connection ended. */
  readonly onConnected?: (connected: boolean) => void;
  /** The connection that stands, or undefined while there is none. */
  readonly onConnection?: (connection: RpcConnection | undefined) => void;
  /** The longest wait before it is tried again; see withReconnect. */
  readonly capMs?: number;
  readonly signal: AbortSignal;
}

/** Keeps one connection to the next hop, with its Report and its Configure stream, until the signal aborts. */
export async function runUplink(options: UplinkOptions): Promise<void> {
  const { addresses, tls, expect, onConnected, onConnection, capMs, signal, ...exchange } = options;
  const connect = async (address: string, good: () => void): Promise<void> => {
    const sink: ReceiverSink = {
      ...options.sink,
      accept: async (delta) => {
        const refusals = await options.sink.accept(delta);
        if (delta.endOfSnapshot) {
          good();
          onConnected?.(true);
        }
        return refusals;
      },
    };
    using connection = dialRpc({ address, tls: tls(), expect });
    onConnection?.(connection);
    try {
      await runStreams(connection.report(), connection.configure(), { ...exchange, sink }, signal);
    } finally {
      onConnection?.(undefined);
      onConnected?.(false);
    }
  };
  const pace = capMs === undefined ? {} : { capMs };
  await withReconnect(addresses, connect, { clock: options.clock, log: options.log, signal, ...pace });
}

/** Both roles in one process: the same streams over pipes in memory. */
export async function runInProcess(
  up: Exchange,
  serve: (report: Pipe<ReceiverFrame, SenderFrame>, configure: Pipe<SenderFrame, ReceiverFrame>) => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  const [report, servedReport] = pipePair<SenderFrame, ReceiverFrame>();
  const [configure, servedConfigure] = pipePair<ReceiverFrame, SenderFrame>();
  await Promise.all([runStreams(report, configure, up, signal), serve(servedReport, servedConfigure)]);
}

/** Runs both streams until one ends; the other then ends too. */
async function runStreams(
  report: Pipe<SenderFrame, ReceiverFrame>,
  configure: Pipe<ReceiverFrame, SenderFrame>,
  { reports, sink, clock, log, speaker }: Exchange & { readonly speaker?: Speaker },
  signal: AbortSignal,
): Promise<void> {
  const ended = new AbortController();
  const common = {
    clock,
    log,
    signal: AbortSignal.any([signal, ended.signal]),
    ...(speaker === undefined ? {} : { speaker }),
  };
  const sender = new Sender(report, reports, common);
  using _subscription = reports.subscribe(sender);
  const receiver = new Receiver(configure, sink, common);
  const streams = [sender.run(), receiver.run()];
  try {
    await Promise.race(streams);
  } finally {
    ended.abort();
    await Promise.allSettled(streams);
  }
}
