import type { Clock } from '../../lib/clock.ts';
import { HeadgateError } from '../../lib/errors.ts';
import type { Log } from '../../lib/log.ts';
import { Receiver, Sender, type Pipe } from '../../lib/sync/index.ts';
import type { ReceiverFrame, SenderFrame } from '../../proto/gen/headgate/v1/sync.ts';
import type { ClusterAgent } from './cluster-agent.ts';

interface Common {
  readonly clock: Clock;
  readonly log: Log;
  readonly signal: AbortSignal;
}

/** A node that comes before the cluster agent is complete is kept waiting this long, and then comes again. */
const PATIENCE_MS = 5_000;

/**
 * The cluster agent's end of a node's Configure stream; says nothing before it has something complete to say.
 *
 * @throws HG3001 when it has not within the patience
 */
export async function serveConfigure(
  agent: ClusterAgent,
  pipe: Pipe<SenderFrame, ReceiverFrame>,
  common: Common,
): Promise<void> {
  const waited = new AbortController();
  const incomplete = common.clock.sleep(PATIENCE_MS, AbortSignal.any([common.signal, waited.signal])).then(() => {
    throw new HeadgateError('HG3001', 'the cluster agent has not heard its source and the hub yet');
  });
  try {
    await Promise.race([agent.complete, incomplete]);
  } finally {
    waited.abort();
  }
  const sender = new Sender(pipe, agent.down, common);
  using _subscription = agent.down.subscribe(sender);
  await sender.run();
}

/** The cluster agent's end of a node's Report stream. @param node as the TLS session names it */
export async function serveReport(
  agent: ClusterAgent,
  node: string,
  pipe: Pipe<ReceiverFrame, SenderFrame>,
  common: Common,
): Promise<void> {
  using _stream = agent.nodeStream(node, common.signal);
  await new Receiver(pipe, agent.nodeSink(node), common).run();
}
