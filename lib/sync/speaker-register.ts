import { HeadgateError } from '../errors.ts';
import type { Speaker } from './protocol.ts';

/** Which stream of an agent's connection: both are one speaker. */
export type StreamKind = 'report' | 'configure';

interface Incumbent {
  readonly speaker: Speaker;
  readonly streams: Map<StreamKind, (error: HeadgateError) => void>;
}

/**
 * One speaker per cluster: the higher count wins and closes the other; on a tie the incumbent stays. The same
 * process may come again: its new stream replaces its own old one of that kind.
 */
export class SpeakerRegister {
  readonly #clusters = new Map<string, Incumbent>();

  /**
   * @param cluster the connection's identity, never a name from a message.
   * @param close ends a stream of this speaker; called with HG3004 when another takes over. It must not throw.
   */
  claim(
    cluster: string,
    speaker: Speaker,
    close: (error: HeadgateError) => void,
    kind: StreamKind,
  ): 'accepted' | 'refused' {
    const incumbent = this.#clusters.get(cluster);
    const same = incumbent?.speaker.instance === speaker.instance;
    if (incumbent !== undefined) {
      const ahead = speaker.count > incumbent.speaker.count;
      if (!ahead && !(same && speaker.count === incumbent.speaker.count)) return 'refused';
    }
    const streams = same && incumbent !== undefined ? incumbent.streams : new Map<StreamKind, typeof close>();
    const replaced = incumbent === undefined ? [] : same ? [streams.get(kind)] : [...incumbent.streams.values()];
    streams.set(kind, close);
    this.#clusters.set(cluster, { speaker, streams });
    for (const end of replaced) {
      if (end !== close) end?.(new HeadgateError('HG3004', `another agent of cluster ${cluster} took over`));
    }
    return 'accepted';
  }

  /** A stream has ended; does nothing where it had been replaced. */
  release(cluster: string, close: (error: HeadgateError) => void): void {
    const incumbent = this.#clusters.get(cluster);
    if (incumbent === undefined) return;
    for (const [kind, held] of incumbent.streams) if (held === close) incumbent.streams.delete(kind);
    if (incumbent.streams.size === 0) this.#clusters.delete(cluster);
  }

  /** Who speaks for a cluster now. */
  speaker(cluster: string): Speaker | undefined {
    return this.#clusters.get(cluster)?.speaker;
  }
}

/** For the `admitSpeaker` option of a Sender or Receiver: claims, and refuses with HG3004 or HG3006. */
export function claimSpeaker(
  register: SpeakerRegister,
  cluster: string,
  kind: StreamKind,
  speaker: Speaker | undefined,
  close: (error: HeadgateError) => void,
): void {
  if (speaker === undefined) throw new HeadgateError('HG3006', `cluster ${cluster} names no speaker in its hello`);
  if (register.claim(cluster, speaker, close, kind) === 'refused') {
    throw new HeadgateError('HG3004', `another agent of cluster ${cluster} speaks for it`);
  }
}
