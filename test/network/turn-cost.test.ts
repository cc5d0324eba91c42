// What a turn of bulk data costs, counted: calls for frames, copies of frames to go, writes, acknowledgments. No clock is
// looked at, so these are exact, and a change that makes them more says so here. Copies for each byte: copies.test.ts.
// What a frame takes of the heap: test/bench/allocations.test.ts.

import { beforeEach, describe, expect, test } from 'vitest';
import { Flag } from '../../src/wire/tcp.ts';
import { isTcp } from '../support/raw-frames.ts';
import { framed, type SegmentSpec, segmentFrame } from '../support/train-frames.ts';
import { TrainWorld } from '../support/train-world.ts';

const SPORT = 40_000;
const TEXT = 1448;

/** Calls of `method` from here on. */
function calls<M extends string>(
  of: { [K in M]?: (...args: never[]) => unknown },
  method: M,
): { count: number } {
  const seen = { count: 0 };
  const original = of[method] as (...args: unknown[]) => unknown;
  Object.assign(of, {
    [method]: (...args: unknown[]) => {
      seen.count++;
      return original.apply(of, args);
    },
  });
  return seen;
}

let world: TrainWorld;
let next: SegmentSpec;

beforeEach(() => {
  world = new TrainWorld({ config: { pacing: false } });
  next = world.connected({ sport: SPORT, ts: [5, 0] }, TEXT + 12);
});

/** `count` full segments, one behind the other. */
function upload(count: number): Buffer {
  const frames = Array.from({ length: count }, () => {
    const frame = segmentFrame({ ...next, flags: Flag.Ack }, new Uint8Array(TEXT));
    next = { ...next, seq: (next.seq + TEXT) | 0 };
    return frame;
  });
  return framed(frames);
}

describe('guest to host', () => {
  test('40 full segments in one read: one call for a frame, one of the kernel, one write to the host, one ACK', () => {
    // The window has to be known and the ring to have grown.
    for (let i = 0; i < 8; i++) world.link.receives(upload(40));
    const bytes = upload(40);
    const frames = calls(world.link.input, 'onFrame');
    const runs = calls(world.link.input as Required<typeof world.link.input>, 'onFrames');
    const writes = calls(world.host.stream, 'write');
    const flushes = calls(world.link, 'flush');
    const before = {
      turns: world.network.turn.count,
      out: world.link.frames.length,
      taken: world.trains.taken,
    };
    world.link.receives(bytes);
    expect(frames.count).toBe(1);
    expect(runs.count).toBe(1);
    expect(world.trains.taken - before.taken).toBe(39);
    expect(writes.count).toBe(1);
    expect(flushes.count).toBe(1);
    expect(world.network.turn.count - before.turns).toBe(1);
    expect(world.link.frames.slice(before.out).filter(isTcp).length).toBe(1);
    expect(world.ackTo(SPORT)).toBe(next.seq);
  });

  test('eight flows, five segments each: eight calls, eight writes, eight ACKs', () => {
    const flows = [
      next,
      ...[1, 2, 3, 4, 5, 6, 7].map((i) => world.connected({ sport: SPORT + i, ts: [5, 0] }, TEXT + 12)),
    ];
    const frames = flows.flatMap((flow) =>
      Array.from({ length: 5 }, (_, i) =>
        segmentFrame({ ...flow, flags: Flag.Ack, seq: (flow.seq + i * TEXT) | 0 }, new Uint8Array(TEXT)),
      ),
    );
    const onFrame = calls(world.link.input, 'onFrame');
    const writes = world.host.streams.map((stream) => calls(stream, 'write'));
    const flushes = calls(world.link, 'flush');
    const out = world.link.frames.length;
    world.link.receives(framed(frames));
    // The first segment of a flow makes its ring, which has room for some more: the rest is the kernel's.
    expect(onFrame.count).toBeLessThanOrEqual(16);
    expect(writes.map(({ count }) => count)).toEqual([1, 1, 1, 1, 1, 1, 1, 1]);
    expect(flushes.count).toBe(1);
    expect(world.link.frames.length - out).toBe(8);
  });
});

describe('host to guest', () => {
  test('a read of 64 KiB: the kernel makes all segments but the first and the last', () => {
    const { stream } = world.host;
    const give = (): void => {
      stream.gives(new Uint8Array(65_536));
      world.clock.runSoon();
      const last = world.link.frames.filter(isTcp).at(-1)!;
      const header = (last[46]! >> 4) * 4;
      const end = (last.readInt32BE(38) + last.readUInt16BE(16) - 20 - header) | 0;
      next = { ...next, ack: end };
      world.receives(0, segmentFrame({ ...next, flags: Flag.Ack }));
    };
    // Slow start is over when a read leaves at once.
    for (let i = 0; i < 40; i++) give();
    const reserves = calls(world.link, 'reserve');
    const flushes = calls(world.link, 'flush');
    const before = { out: world.link.frames.length, made: world.trains.made };
    stream.gives(new Uint8Array(65_536));
    world.clock.runSoon();
    const sent = world.link.frames.length - before.out;
    expect(sent).toBe(Math.ceil(65_536 / TEXT));
    // The first and the last, and two more where the ring begins anew.
    expect(reserves.count).toBeLessThanOrEqual(4);
    expect(world.trains.made - before.made).toBe(sent - reserves.count);
    // The host brings it in two pieces where the ring begins anew: a turn each.
    expect(flushes.count).toBeLessThanOrEqual(2);
  });
});
