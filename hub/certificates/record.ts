/** A stored JSON record's bytes. */
export function toJson(record: object): Buffer {
  return Buffer.from(JSON.stringify(record));
}

/** What the bytes hold, to be checked by a schema; undefined when they are no JSON. */
export function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString('utf8'));
  } catch {
    return undefined;
  }
}
