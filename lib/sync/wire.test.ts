import { describe, test } from 'vitest';
import { ReportRequest } from '../../proto/gen/headgate/v1/report.ts';
import type { SenderFrame } from '../../proto/gen/headgate/v1/sync.ts';
import { resource } from './resource.ts';
import { encodedSize, encodeSenderFrame, resourceFromWire, wireResource } from './wire.ts';

describe('encodeSenderFrame', () => {
  test('gives what the generated code reads, at every length', ({ expect }) => {
    for (const bytes of [0, 1, 100, 127, 128, 16_383, 16_384, 900_000]) {
      const upserts = [resource('host', 'ü.example', Buffer.alloc(bytes, 1)), resource('x', 'y', Buffer.alloc(3))];
      const frame: SenderFrame = {
        frame: {
          $case: 'delta',
          value: {
            id: 2n ** 40n,
            revision: 7n,
            upserts: upserts.map(wireResource),
            removals: [{ type: 'a', name: 'b' }],
            last: true,
            endOfSnapshot: true,
          },
        },
      };
      expect(ReportRequest.decode(encodeSenderFrame(frame))).toEqual({ frame, failure: undefined });
    }
    const heartbeat: SenderFrame = { frame: { $case: 'heartbeat', value: { revision: 1n } } };
    expect(ReportRequest.decode(encodeSenderFrame(heartbeat)).frame).toEqual(heartbeat);
  });

  test('shares one object per resource, and none of its bytes is copied before', ({ expect }) => {
    const body = Buffer.from('body');
    const held = resource('host', 'a', body);
    expect(wireResource(held)).toBe(wireResource(held));
    expect(wireResource(held).body.buffer).toBe(body.buffer);
    expect(encodedSize(wireResource(held))).toBeGreaterThan(body.length);
    const relayed = resourceFromWire(wireResource(held), held.digest);
    expect(relayed).toEqual(held);
    expect(wireResource(relayed)).toBe(wireResource(held));
  });
});
