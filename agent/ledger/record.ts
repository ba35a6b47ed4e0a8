import { crc32 } from 'node:zlib';

/**
 * A record on disk is length (u32), CRC-32 of the payload (u32), CRC-32 of those eight bytes (u32), payload;
 * all big-endian. The header's own sum tells a damaged length from a record that was cut short.
 */
const HEADER = 12;

export function frameRecord(payload: Uint8Array): Buffer {
  const framed = Buffer.allocUnsafe(HEADER + payload.length);
  framed.writeUInt32BE(payload.length, 0);
  framed.writeUInt32BE(crc32(payload), 4);
  framed.writeUInt32BE(crc32(framed.subarray(0, 8)), 8);
  framed.set(payload, HEADER);
  return framed;
}

export interface Scan {
  readonly payloads: readonly Buffer[];
  /** Bytes that whole records take from the start. */
  readonly end: number;
  /** `torn`: the last write did not finish, so nobody was told that it had. `damaged`: something changed what was whole. */
  readonly tail: 'clean' | 'torn' | 'damaged';
}

/** Reads records up to the end or to the first that is not whole. Payloads share the memory of `bytes`. */
export function scanRecords(bytes: Buffer): Scan {
  const payloads: Buffer[] = [];
  let at = 0;
  while (at < bytes.length) {
    const rest = bytes.subarray(at);
    if (rest.length < HEADER) return { payloads, end: at, tail: 'torn' };
    if (crc32(rest.subarray(0, 8)) !== rest.readUInt32BE(8)) {
      // A file system may have extended the file before its bytes arrived: zeros to the end.
      return { payloads, end: at, tail: rest.every((byte) => byte === 0) ? 'torn' : 'damaged' };
    }
    const next = HEADER + rest.readUInt32BE(0);
    if (next > rest.length) return { payloads, end: at, tail: 'torn' };
    const payload = rest.subarray(HEADER, next);
    if (crc32(payload) !== rest.readUInt32BE(4)) {
      return { payloads, end: at, tail: next === rest.length ? 'torn' : 'damaged' };
    }
    payloads.push(payload);
    at += next;
  }
  return { payloads, end: at, tail: 'clean' };
}
