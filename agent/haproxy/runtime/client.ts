import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { HeadgateError } from '../../../lib/errors.ts';
import type { Command } from '../render/commands.ts';
import { encodeCommand, query } from './command.ts';

export interface Reply {
  readonly command: Command;
  /** HAProxy's words, trimmed. */
  readonly text: string;
  readonly ok: boolean;
}

interface Waiting {
  readonly command: Command;
  readonly resolve: (reply: Reply) => void;
  readonly reject: (error: HeadgateError) => void;
}

/** Ends every reply in prompt mode. No reply of ours holds a line that starts with it. */
const PROMPT = '\n> ';

/** Commands on their way at once: enough to keep HAProxy busy, few enough for the timeout to mean something. */
const PIPELINED = 256;

/** No such many commands take this long; a worker that does not answer is stuck. Milliseconds. */
const REPLY_TIMEOUT = 10_000;

/**
 * HAProxy's command line over a worker's stats socket: one connection in prompt mode, commands pipelined,
 * replies in order. It connects at need and again after the worker went away.
 */
export class RuntimeClient implements AsyncDisposable {
  readonly #path: string;
  readonly #onClose: () => void;
  #connection: Connection | undefined;
  /** It is for one worker alone, not for whoever listens on the path. */
  #pinned = false;
  #ok = 0;
  #failed = 0;

  /** @param onClose called when an established connection ends, whoever ended it. */
  constructor(path: string, onClose: () => void = () => {}) {
    this.#path = path;
    this.#onClose = onClose;
  }

  get counts(): { readonly ok: number; readonly failed: number } {
    return { ok: this.#ok, failed: this.#failed };
  }

  /** Whether the other side has ended the connection since it was last made or reset: perhaps it is another by now. */
  get wasClosed(): boolean {
    return this.#connection?.closed === true;
  }

  /**
   * Sends commands, pipelined, and waits for every reply. A command that HAProxy refuses has `ok: false`, and so has
   * one that cannot be sent (`encodeCommand` says why): the others are not to suffer from it.
   *
   * @throws HG5003 where the connection failed: which of the commands were run is then unknown.
   */
  async send(commands: readonly Command[]): Promise<readonly Reply[]> {
    if (commands.length === 0) return [];
    if (this.#connection === undefined || this.#connection.closed) {
      if (this.#pinned) throw new HeadgateError('HG5003', 'the worker has ended');
      this.#connection = await Connection.open(this.#path, this.#onClose);
    }
    const replies: Reply[] = [];
    for (let at = 0; at < commands.length; at += PIPELINED) {
      for (const reply of await this.#sendSome(this.#connection, commands.slice(at, at + PIPELINED))) {
        if (reply.ok) this.#ok++;
        else this.#failed++;
        replies.push(reply);
      }
    }
    return replies;
  }

  async #sendSome(connection: Connection, commands: readonly Command[]): Promise<readonly Reply[]> {
    const encoded = commands.map((command) => ({ command, ...attempt(command) }));
    const sent = encoded.filter(({ text }) => text !== undefined);
    const answers = await connection.send(
      sent.map(({ command }) => command),
      sent.map(({ text }) => text ?? ''),
    );
    let next = 0;
    return encoded.map(({ command, text, why }) => {
      const answer = text === undefined ? undefined : answers[next++];
      return answer ?? { command, text: why ?? '', ok: false };
    });
  }

  /** Sends one query. @throws HG5003 with HAProxy's words where it refuses. */
  async ask(text: string): Promise<string> {
    const [reply] = await this.send([query(text)]);
    if (reply === undefined || !reply.ok) {
      throw new HeadgateError('HG5003', `HAProxy refused ${text}: ${reply?.text ?? ''}`);
    }
    return reply.text;
  }

  /** A client of the worker that this one is connected to, which is then free for another; undefined where there is none. */
  detach(): RuntimeClient | undefined {
    const connection = this.#connection;
    this.#connection = undefined;
    if (connection === undefined || connection.closed) return undefined;
    const other = new RuntimeClient(this.#path);
    other.#connection = connection;
    other.#pinned = true;
    return other;
  }

  /** Drops the connection: an old worker lives as long as someone talks to it. */
  reset(): void {
    this.#connection?.close();
    this.#connection = undefined;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.reset();
  }
}

function attempt(command: Command): { readonly text?: string; readonly why?: string } {
  try {
    return { text: encodeCommand(command) };
  } catch (error) {
    return { why: HeadgateError.from(error).message };
  }
}

class Connection {
  readonly #socket: Socket;
  readonly #waiting: Waiting[] = [];
  #buffered = '';
  closed = false;

  static async open(path: string, onClose: () => void): Promise<Connection> {
    const socket = connect(path);
    const connection = new Connection(socket);
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', (error) => {
        reject(
          new HeadgateError('HG5003', `HAProxy's socket ${path} does not answer: ${error.message}`, { cause: error }),
        );
      });
    });
    socket.once('close', onClose);
    await connection.send([query('prompt')], ['prompt\n']);
    return connection;
  }

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.unref();
    socket.setEncoding('utf8');
    socket.on('data', (chunk: string) => this.#receive(chunk));
    socket.on('error', () => {});
    socket.once('close', () => this.#fail('closed the connection'));
  }

  async send(commands: readonly Command[], texts: readonly string[]): Promise<readonly Reply[]> {
    if (this.closed) throw new HeadgateError('HG5003', 'HAProxy closed the connection');
    this.#socket.ref();
    const timer = setTimeout(() => this.#fail(`did not answer within ${REPLY_TIMEOUT} ms`), REPLY_TIMEOUT);
    try {
      const replies = commands.map(
        (command) =>
          new Promise<Reply>((resolve, reject) => {
            this.#waiting.push({ command, resolve, reject });
          }),
      );
      this.#socket.write(texts.join(''));
      return await Promise.all(replies);
    } finally {
      clearTimeout(timer);
      if (this.#waiting.length === 0) this.#socket.unref();
    }
  }

  close(): void {
    this.#fail('connection was reset');
  }

  #receive(chunk: string): void {
    // Only what is new can hold the end of a reply, but for a prompt that was cut in two.
    let from = Math.max(0, this.#buffered.length - PROMPT.length);
    this.#buffered += chunk;
    for (let end = this.#buffered.indexOf(PROMPT, from); end >= 0; end = this.#buffered.indexOf(PROMPT)) {
      const text = this.#buffered.slice(0, end);
      this.#buffered = this.#buffered.slice(end + PROMPT.length);
      from = 0;
      const next = this.#waiting.shift();
      // 2.6 and 3.0 echo "+ " for each payload line.
      if (next === undefined) continue;
      const words = (next.command.payload ? text.replace(/^(\+ )+/, '') : text).trim();
      next.resolve({ command: next.command, text: words, ok: next.command.accepts.test(words) });
    }
  }

  #fail(why: string): void {
    this.closed = true;
    this.#socket.destroy();
    for (const { reject } of this.#waiting.splice(0)) reject(new HeadgateError('HG5003', `HAProxy ${why}`));
  }
}
