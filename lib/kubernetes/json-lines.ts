import type { Readable } from 'node:stream';
import { HeadgateError } from '../errors.ts';

/** The longest document that is read, in bytes: etcd stores none above 1.5 MiB, a page holds some hundred. */
const MAX_BYTES = 256 * 1024 * 1024;
/** The longest line of a watch: one object. */
const MAX_LINE = 16 * 1024 * 1024;

/** @throws HeadgateError HG3006 where it is no JSON, or longer than anything the API has. */
export async function readJson(stream: Readable): Promise<unknown> {
  const pieces: Buffer[] = [];
  let bytes = 0;
  for await (const piece of stream as AsyncIterable<Buffer>) {
    bytes += piece.length;
    if (bytes > MAX_BYTES) throw broken('an answer is too long');
    pieces.push(piece);
  }
  return parse(Buffer.concat(pieces, bytes));
}

/**
 * Every line of a stream as JSON, those that came in one piece together. A last line that is not whole was cut off, and
 * is not read.
 * @throws HeadgateError HG3006
 */
export async function* readLines(stream: Readable): AsyncIterable<readonly unknown[]> {
  let rest: Buffer[] = [];
  let length = 0;
  for await (const piece of stream as AsyncIterable<Buffer>) {
    const lines: unknown[] = [];
    let start = 0;
    for (let end = piece.indexOf(10); end !== -1; end = piece.indexOf(10, start)) {
      const line = Buffer.concat([...rest, piece.subarray(start, end)]);
      rest = [];
      length = 0;
      start = end + 1;
      if (line.length > 0) lines.push(parse(line));
    }
    if (start < piece.length) {
      rest.push(piece.subarray(start));
      length += piece.length - start;
      if (length > MAX_LINE) throw broken('a line of a watch is too long');
    }
    yield lines;
  }
}

function parse(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch {
    // The parser's message quotes the text, which may be a Secret.
    throw broken('an answer is no JSON');
  }
}

function broken(what: string): HeadgateError {
  return new HeadgateError('HG3006', `the API server's answer breaks the protocol: ${what}`, {
    remedy: 'check that the address is a Kubernetes API server',
  });
}
