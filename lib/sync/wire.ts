import { Resource as WireResource, SenderFrame, DeltaChunk } from '../../proto/gen/headgate/v1/sync.ts';
import type { Resource } from './resource.ts';

const wires = new WeakMap<Resource, WireResource>();
const heads = new WeakMap<WireResource, Buffer>();
const nothing = Buffer.alloc(0);

/** The resource as it travels; one object per resource, so that its encoding is shared by all subscribers. */
export function wireResource(resource: Resource): WireResource {
  let wire = wires.get(resource);
  if (wire === undefined) {
    const { type, name, digest, body } = resource;
    const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
    wires.set(resource, (wire = { type, name, digest: Buffer.from(digest, 'hex'), body: bytes }));
  }
  return wire;
}

/** The resource that came as `wire`, its digest in hex already checked; passing it on costs no new encoding. */
export function resourceFromWire(wire: WireResource, digest: string): Resource {
  const resource = { type: wire.type, name: wire.name, digest, body: wire.body };
  wires.set(resource, wire);
  return resource;
}

// Tags of proto fields: (number << 3) | 2, length-delimited.
const resourceBodyTag = 0x22; // Resource.body = 4
const chunkUpsertTag = 0x1a; // DeltaChunk.upserts = 3
const frameDeltaTag = 0x1a; // SenderFrame.delta = 3
const outerFrameTag = 0x0a; // ReportRequest.frame and ConfigureResponse.frame = 1

/** Everything of a DeltaChunk.upserts element before its body's bytes; kept, the body is not copied. */
function headOf(wire: WireResource): Buffer {
  let head = heads.get(wire);
  if (head === undefined) {
    const names = WireResource.encode({ ...wire, body: nothing }).finish();
    const body = delimiter(resourceBodyTag, wire.body.length);
    const element = delimiter(chunkUpsertTag, names.length + body.length + wire.body.length);
    heads.set(wire, (head = Buffer.concat([element, names, body])));
  }
  return head;
}

/** Bytes that a resource adds to a chunk. */
export function encodedSize(wire: WireResource): number {
  return headOf(wire).length + wire.body.length;
}

/**
 * A ReportRequest or ConfigureResponse (both hold a SenderFrame as field 1), serialised. A resource's names
 * are encoded once for all subscribers; a delta costs one copy of its bytes.
 */
export function encodeSenderFrame(frame: SenderFrame): Buffer {
  if (frame.frame?.$case !== 'delta') {
    const body = SenderFrame.encode(frame).finish();
    return Buffer.concat([delimiter(outerFrameTag, body.length), body]);
  }
  const chunk = frame.frame.value;
  // The fields of a message may come in any order: everything but the resources first.
  const parts: Uint8Array[] = [DeltaChunk.encode({ ...chunk, upserts: [] }).finish()];
  for (const wire of chunk.upserts) parts.push(headOf(wire), wire.body);
  const length = parts.reduce((sum, part) => sum + part.length, 0);
  const inner = delimiter(frameDeltaTag, length);
  return Buffer.concat([delimiter(outerFrameTag, inner.length + length), inner, ...parts]);
}

/** A one-byte tag and the length as a varint. */
function delimiter(tag: number, length: number): Buffer {
  const bytes = [tag];
  for (; length > 0x7f; length >>>= 7) bytes.push((length & 0x7f) | 0x80);
  bytes.push(length);
  return Buffer.from(bytes);
}
