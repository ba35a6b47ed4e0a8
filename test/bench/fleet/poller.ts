import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect as tlsConnect } from 'node:tls';

export interface Answer {
  readonly status: number;
  readonly body: string;
}

/** One look at an entry: whether it shows the change. */
export type Look = () => Promise<boolean>;

/** Milliseconds that a change must have been seen without a break before it counts as live. */
const LASTING = 30;
const PAUSE = 1;
const DEADLINE = 10_000;

/**
 * Looks every 2 ms or less (the pause is 1, an answer takes the rest) until the change is seen and stays.
 *
 * @returns when it was first seen of what lasted, on the clock of `performance.now`.
 */
export async function firstSeen(look: Look, what: string): Promise<number> {
  const deadline = performance.now() + DEADLINE;
  let since: number | undefined;
  for (;;) {
    const good = await look();
    const now = performance.now();
    if (!good) since = undefined;
    else since ??= now;
    if (since !== undefined && now - since >= LASTING) return since;
    if (now > deadline) throw new Error(`${what} was not live within ${DEADLINE} ms`);
    await sleep(PAUSE);
  }
}

/** A kept-alive HTTP/1.1 connection to an entry, with as little work per request as Node allows. */
export class Connection implements Disposable {
  readonly #host: string;
  readonly #port: number;
  #socket: Socket | undefined;
  #last: Promise<unknown> = Promise.resolve();

  /** @param address host:port */
  constructor(address: string) {
    const colon = address.lastIndexOf(':');
    this.#host = address.slice(0, colon);
    this.#port = Number(address.slice(colon + 1));
  }

  /** One request after another: those asked for meanwhile wait. */
  async get(host: string, path: string): Promise<Answer> {
    const answer = this.#last.then(async () => await this.#get(host, path));
    this.#last = answer;
    return await answer;
  }

  async #get(host: string, path: string): Promise<Answer> {
    // An idle connection may be closed just as a request is sent: that one may be sent again.
    return (await this.#try(host, path)) ?? (await this.#try(host, path)) ?? { status: 0, body: 'connection closed' };
  }

  [Symbol.dispose](): void {
    this.#socket?.destroy();
  }

  async #try(host: string, path: string): Promise<Answer | undefined> {
    const socket = await this.#open();
    if (socket === undefined) return undefined;
    return await new Promise((resolve) => {
      let text = '';
      const done = (answer: Answer | undefined): void => {
        socket.off('data', more).off('close', closed);
        resolve(answer);
      };
      const more = (chunk: string): void => {
        text += chunk;
        const answer = whole(text);
        if (answer !== undefined) done(answer);
      };
      const closed = (): void => {
        this.#socket = undefined;
        done(undefined);
      };
      socket.on('data', more).once('close', closed);
      socket.write(`GET ${path} HTTP/1.1\r\nhost: ${host}\r\n\r\n`);
    });
  }

  async #open(): Promise<Socket | undefined> {
    if (this.#socket !== undefined && !this.#socket.destroyed && this.#socket.readyState === 'open')
      return this.#socket;
    const socket = connect(this.#port, this.#host).setNoDelay().setEncoding('latin1');
    try {
      await once(socket, 'connect');
    } catch {
      return undefined;
    }
    // What breaks it is seen as its close.
    socket.on('error', () => undefined);
    this.#socket = socket;
    return socket;
  }
}

function whole(text: string): Answer | undefined {
  const end = text.indexOf('\r\n\r\n');
  if (end === -1) return undefined;
  const head = text.slice(0, end);
  const length = Number(/\r\ncontent-length: *(\d+)/i.exec(head)?.[1] ?? 0);
  const body = text.slice(end + 4);
  return body.length < length ? undefined : { status: Number(head.slice(9, 12)), body };
}

/** SHA-256 fingerprint of what an entry presents for a name, on a connection of its own; '' where it fails. */
export async function presented(address: string, servername: string): Promise<string> {
  const colon = address.lastIndexOf(':');
  const socket = tlsConnect({
    host: address.slice(0, colon),
    port: Number(address.slice(colon + 1)),
    servername,
    // Of a CA that only this bench knows.
    rejectUnauthorized: false,
  });
  try {
    await once(socket, 'secureConnect');
    return socket.getPeerCertificate().fingerprint256;
  } catch {
    return '';
  } finally {
    socket.destroy();
  }
}
