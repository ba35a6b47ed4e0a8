import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { type Upstream, upstreamPod } from '../safety/long-streams.ts';

type Question =
  | { readonly do: 'start' }
  | { readonly do: 'served'; readonly port: number }
  | { readonly do: 'retire'; readonly port: number }
  | { readonly do: 'end downloads' };

/** Pods in a process of their own, which come and go as those of a Deployment do. */
export class RollingPods implements AsyncDisposable {
  readonly #child: ChildProcess;
  #last: Promise<unknown> = Promise.resolve();

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  static async open(): Promise<RollingPods> {
    const child = fork(import.meta.filename, [], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] });
    await once(child, 'message');
    return new RollingPods(child);
  }

  /** @returns the new pod's port. */
  async start(): Promise<number> {
    return await this.#ask({ do: 'start' });
  }

  /** @returns requests that a pod has had so far. */
  async served(port: number): Promise<number> {
    return await this.#ask({ do: 'served', port });
  }

  /** The pod takes no connections any more and closes idle ones at once, others when they have had their answer. */
  async retire(port: number): Promise<void> {
    await this.#ask({ do: 'retire', port });
  }

  /** Brings every download that is under way to its good end. */
  async endDownloads(): Promise<void> {
    await this.#ask({ do: 'end downloads' });
  }

  async #ask(question: Question): Promise<number> {
    const answer = this.#last.then(async () => {
      const message = once(this.#child, 'message') as Promise<[number]>;
      this.#child.send(question);
      return (await message)[0];
    });
    this.#last = answer;
    return await answer;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const gone = once(this.#child, 'exit');
    this.#child.kill('SIGKILL');
    await gone;
  }
}

if (process.send !== undefined && process.argv[1] === import.meta.filename) {
  const end = new EventTarget();
  const pods = new Map<number, Upstream>();
  const answer = async (question: Question): Promise<number> => {
    if (question.do === 'end downloads') end.dispatchEvent(new Event('abort'));
    if (question.do === 'start') {
      const pod = await upstreamPod(end);
      pods.set(pod.port, pod);
      return pod.port;
    }
    const pod = 'port' in question ? pods.get(question.port) : undefined;
    if (question.do === 'retire') pod?.retire();
    return pod?.served ?? 0;
  };
  process.on('message', (question: Question) => void answer(question).then((number) => process.send?.(number)));
  // The parent is gone: so are the pods.
  process.on('disconnect', () => process.exit(0));
  process.send(0);
}
