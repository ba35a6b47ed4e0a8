import type { Clock } from '../../lib/clock.ts';
import { HeadgateError } from '../../lib/errors.ts';
import type { Identity } from '../../lib/identity/identity.ts';
import type { Log } from '../../lib/log.ts';
import { claimSpeaker, type Pipe, Receiver, type SpeakerRegister, tapped } from '../../lib/sync/index.ts';
import type { ReceiverFrame, SenderFrame } from '../../proto/gen/headgate/v1/sync.ts';
import type { Store } from '../store/store.ts';
import type { PresenceRegister } from '../presence.ts';
import { ReportSink } from './report-sink.ts';
import type { ReportLimits } from './report-limits.ts';

export interface ReportServiceOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly log: Log;
  /** Shared with whatever serves Configure: both streams of an agent are one speaker. */
  readonly speakers: SpeakerRegister;
  readonly presence: PresenceRegister;
  /** Ends every stream, each after the delta that it is accepting. */
  readonly signal: AbortSignal;
  readonly limits?: ReportLimits;
  /** The shrink guard has held removals of the cluster. */
  readonly onHeld?: (cluster: string) => void;
}

interface OpenSink {
  readonly sink: Promise<ReportSink>;
  streams: number;
}

/** The hub's end of every Report stream. */
export class ReportService {
  readonly #options: ReportServiceOptions;
  readonly #sinks = new Map<string, OpenSink>();

  constructor(options: ReportServiceOptions) {
    this.#options = options;
  }

  /**
   * Runs one stream until it ends.
   *
   * @throws HeadgateError HG2006 for a caller that is no cluster agent, HG3004 for one that may not speak, and
   * what Receiver.run throws.
   */
  async report(caller: { readonly identity: Identity }, pipe: Pipe<ReceiverFrame, SenderFrame>): Promise<void> {
    const { identity } = caller;
    if (identity.kind !== 'cluster') throw new HeadgateError('HG2006', `a ${identity.kind} may not report`);
    const { clock, speakers, presence, signal } = this.#options;
    const { cluster } = identity;
    const close = (error: HeadgateError): void => pipe.close(error);
    const open = this.#open(cluster);
    // A caller that may not speak is not heard.
    let admitted = false;
    using ending = new DisposableStack();
    ending.defer(() => {
      open.streams -= 1;
      if (open.streams === 0 && this.#sinks.get(cluster) === open) this.#sinks.delete(cluster);
    });
    const view = await (await open.sink).view();
    const receiver = new Receiver(
      tapped(pipe, () => {
        if (admitted) presence.heard(cluster);
      }),
      view,
      {
        clock,
        log: this.#options.log.with({ cluster }),
        signal,
        admitSpeaker: (speaker) => {
          claimSpeaker(speakers, cluster, 'report', speaker, close);
          ending.defer(() => speakers.release(cluster, close));
          ending.use(presence.opened(cluster));
          admitted = true;
        },
      },
    );
    await receiver.run();
  }

  #open(cluster: string): OpenSink {
    const { store, log, clock, limits, onHeld } = this.#options;
    let open = this.#sinks.get(cluster);
    if (open === undefined) {
      const sink = ReportSink.open({
        cluster,
        store,
        log,
        random: () => clock.random(),
        ...(limits === undefined ? {} : { limits }),
        ...(onHeld === undefined ? {} : { onHeld }),
      });
      this.#sinks.set(cluster, (open = { sink, streams: 0 }));
    }
    open.streams += 1;
    return open;
  }
}
