// Uploads in trains against uploads frame by frame: two networks, one with the kernel and one without, are given the
// same bytes, and nobody can tell them apart.

import { describe, expect, test } from 'vitest';
import { TURN_WORK } from '../../src/base/turn.ts';
import { Flag } from '../../src/wire/tcp.ts';
import { SeededRandom } from '../support/seeded-random.ts';
import { framed, IP, type SegmentSpec, seal, segmentFrame, TCP } from '../support/train-frames.ts';
import { TrainWorld, type TrainWorldOptions } from '../support/train-world.ts';

function payload(from: number, len: number): Buffer {
  const out = Buffer.alloc(len);
  for (let i = 0; i < len; i++) out[i] = Math.imul(from + i, 0x9e3779b1) >>> 15;
  return out;
}

/** One connection as its guest sees it: goes back to what was acknowledged after each burst. */
interface Stream {
  next: SegmentSpec;
  clock: number;
  closed: boolean;
}

/** The same happens to both. */
class Twins {
  readonly both: readonly [TrainWorld, TrainWorld];
  readonly streams: Stream[] = [];

  constructor(options: TrainWorldOptions = {}) {
    this.both = [
      new TrainWorld({ ...options, kernel: 'wasm' }),
      new TrainWorld({ ...options, kernel: 'js' }),
    ];
  }

  get train(): TrainWorld {
    return this.both[0];
  }

  connect(sport: number, timestamps: boolean, seq: number): Stream {
    const ts: SegmentSpec['ts'] = timestamps ? [1000, 0] : null;
    const [a, b] = this.both.map((world) => world.connected({ sport, ts, seq }));
    expect(b).toEqual(a);
    const stream = { next: a!, clock: 1000, closed: false };
    this.streams.push(stream);
    return stream;
  }

  each(what: (world: TrainWorld) => void): void {
    for (const world of this.both) what(world);
  }

  expectSame(): void {
    const [a, b] = this.both;
    expect(a.tale).toEqual(b.tale);
    for (const [i, link] of a.links.entries()) {
      const { frames } = b.links[i]!;
      const differs = link.frames.findIndex((frame, at) => !frame.equals(frames[at]!));
      expect(differs, `frame to ${link.name} that differs`).toBe(-1);
    }
  }
}

/** `count` segments of the stream, each behind the one before. */
function burst(stream: Stream, count: number, lenOf: () => number): Buffer[] {
  return Array.from({ length: count }, () => {
    const len = lenOf();
    const ts: SegmentSpec['ts'] = stream.next.ts === null ? null : [stream.clock, 0];
    const frame = segmentFrame({ ...stream.next, ts }, payload(stream.next.seq, len));
    stream.next = { ...stream.next, seq: (stream.next.seq + len) | 0 };
    return frame;
  });
}

/** Places that say something: each byte of a train's headers. */
function spoil(frame: Buffer, random: SeededRandom): Buffer {
  const bad = Buffer.from(frame);
  const what = random.below(8);
  if (what === 0) bad[random.below(bad.length)]! ^= 1 << random.below(8);
  else if (what === 1) bad[TCP + 13]! ^= 1 << random.below(8);
  else if (what === 2) bad[IP + random.below(20)]! ^= 1 << random.below(8);
  else if (what === 3) bad[TCP + random.below(32)]! ^= 1 << random.below(8);
  else if (what === 4)
    bad.writeUInt32BE((bad.readUInt32BE(TCP + 4) + random.below(4000) - 2000) >>> 0, TCP + 4);
  else if (what === 5) bad.writeUInt16BE(random.below(65536), TCP + 14);
  else if (what === 6) return Buffer.concat([bad, Buffer.alloc(1 + random.below(20), 3)]);
  else bad[TCP + 13]! ^= Flag.Psh;
  if (random.below(4) > 0) seal(bad);
  return bad;
}

/** One turn of the wheel: the same for both, decided by `random`. */
function step(twins: Twins, random: SeededRandom): void {
  const live = twins.streams.filter((one) => !one.closed);
  const frames: Buffer[] = [];
  const size = [1, 100, 537, 1448, 1448, 1448][random.below(6)]!;
  const lenOf = (): number => (random.below(12) === 0 ? 1 + random.below(1448) : size);
  for (let runs = 1 + random.below(4); runs > 0 && live.length > 0; runs--) {
    const stream = live[random.below(live.length)]!;
    stream.clock += random.below(3);
    frames.push(...burst(stream, 1 + random.below(24), lenOf));
  }
  for (const [i, frame] of frames.entries()) {
    if (random.below(14) === 0) frames[i] = spoil(frame, random);
    else if (i > 0 && random.below(30) === 0) [frames[i - 1], frames[i]] = [frame, frames[i - 1]!];
    else if (random.below(40) === 0) frames.splice(i, 0, frame);
  }
  const last = live[0];
  if (last !== undefined && random.below(60) === 0) {
    const fin = { ...last.next, flags: Flag.Fin | Flag.Ack };
    const rst = { ...last.next, flags: Flag.Rst | Flag.Ack };
    frames.splice(random.below(frames.length + 1), 0, segmentFrame(random.below(3) === 0 ? rst : fin));
    frames.push(...burst(last, 3, lenOf));
    last.closed = true;
  }
  const chunk = framed(frames);
  const cut = random.below(3) === 0 ? random.below(chunk.length + 1) : chunk.length;
  const evil = random.below(4) === 0;
  twins.each((world) => {
    world.links[0]!.receives(chunk.subarray(0, cut));
    if (evil) world.links[1]!.receives(chunk);
    world.links[0]!.receives(chunk.subarray(cut));
    world.clock.runSoon();
  });
}

/** The host takes, does not take, says something; time passes; the guest hears what has arrived. */
function rest(twins: Twins, random: SeededRandom): void {
  const which = random.below(twins.streams.length);
  const what = random.below(10);
  const ms = random.below(5) === 0 ? random.below(500) : 1;
  twins.each((world) => {
    const stream = world.host.streams[which]!;
    if (what === 0) stream.holdWrites = true;
    else if (what < 4) {
      stream.holdWrites = false;
      if (stream.isHolding) stream.letGo();
    } else if (what === 4 && stream.state === 'open') stream.gives('from the host');
    world.clock.runSoon();
    world.clock.advance(ms);
  });
  const sees = twins.train;
  for (const stream of twins.streams) {
    const { sport } = stream.next;
    const back = sees.link.frames.filter((frame) => frame.readUInt16BE(36) === sport).at(-1);
    if (back === undefined || stream.closed) continue;
    const end = (back.readUInt32BE(TCP + 4) + back.readUInt16BE(16) - 20 - (back[TCP + 12]! >> 4) * 4) | 0;
    const flags = back[TCP + 13]!;
    if (flags & Flag.Rst) stream.closed = true;
    const seq = back.readUInt32BE(TCP + 8) | 0;
    const ack = random.below(3) === 0 ? stream.next.ack : end;
    stream.next = { ...stream.next, seq, ack };
    const bare = segmentFrame({ ...stream.next, ts: stream.next.ts === null ? null : [stream.clock, 0] });
    if (ack === end) twins.each((world) => world.receives(0, bare));
  }
}

describe('an upload in trains', () => {
  test.each([1, 2, 3, 4, 5, 6])('seed %i: what comes of it is what comes of its frames', (seed) => {
    const random = new SeededRandom(seed);
    const config = { limits: { flowBytes: seed % 2 === 0 ? 65_536 : 1 << 20 } };
    const twins = new Twins({ config, links: 2 });
    const seqs = [1000, 0x7fffff00, -5000];
    for (let i = 0; i < 3; i++) twins.connect(5000 + i, (seed + i) % 3 > 0, seqs[i]!);
    for (let i = 0; i < 60; i++) {
      step(twins, random);
      twins.expectSame();
      rest(twins, random);
      twins.expectSame();
      if (twins.streams.filter((one) => !one.closed).length < 2 && twins.streams.length < 9)
        twins.connect(5000 + twins.streams.length, random.below(2) === 0, random.word());
    }
    const { accepted } = twins.train.network.stats();
    expect(twins.train.trains.taken).toBeGreaterThan(accepted * 0.2);
    expect(twins.both[1].trains.taken).toBe(0);
  });
});

/** A sink's calls as a link makes them, all in one turn: what the network takes of a run. */
class ByHand {
  readonly world = new TrainWorld({ links: 2 });
  readonly spec: SegmentSpec;
  private readonly at: number;

  constructor() {
    this.spec = this.world.connected({ sport: 5000, ts: null });
    const { arena } = this.world.network;
    this.at = arena.take(262_144, arena.scratchAccount);
  }

  data(index: number, more: Partial<SegmentSpec> = {}): Buffer {
    const seq = (this.spec.seq + index * 100) | 0;
    return segmentFrame({ ...this.spec, seq, ...more }, Buffer.alloc(100, 0x61 + index));
  }

  /** Where `frames` lie, with a length before each, `place` times 65536 bytes behind the first place. */
  lay(place: number, ...frames: Buffer[]): { at: number; end: number; most: number } {
    const at = this.at + place * 65_536;
    const chunk = framed(frames);
    this.world.network.arena.memory.bytes.set(chunk, at);
    return { at, end: at + chunk.length, most: 64 };
  }

  /** Hands in a frame by the way of all frames. */
  hand(link: number, place: number, frame: Buffer): void {
    const { at } = this.lay(place, frame);
    this.world.links[link]!.input.onFrame(at + 4, frame.length);
  }

  /** Frames of a run that are taken. */
  offer(link: number, run: { at: number; end: number; most: number }): number {
    const before = this.world.trains.taken;
    this.world.links[link]!.input.onFrames!(run);
    return this.world.trains.taken - before;
  }

  turn(what: () => void): void {
    this.world.network.turn.run(what);
    this.world.clock.runSoon();
  }
}

describe('a train begins with the frame before', () => {
  test('and goes on with the next ones of its stream', () => {
    const hand = new ByHand();
    hand.turn(() => {
      hand.hand(0, 0, hand.data(0));
      expect(hand.offer(0, hand.lay(1, hand.data(1), hand.data(2), hand.data(4)))).toBe(2);
    });
    expect(hand.world.host.stream.written.length).toBe(300);
  });

  test('not with one of a turn before, nor one that came by another port', () => {
    const hand = new ByHand();
    hand.turn(() => hand.hand(0, 0, hand.data(0)));
    hand.turn(() => expect(hand.offer(0, hand.lay(1, hand.data(1)))).toBe(0));
    hand.turn(() => {
      hand.hand(0, 0, hand.data(1));
      expect(hand.offer(1, hand.lay(1, hand.data(2)))).toBe(0);
    });
    expect(hand.world.host.stream.written.length).toBe(200);
  });

  test('not with one that others came behind: a FIN, after which there is no text', () => {
    const hand = new ByHand();
    hand.turn(() => {
      // The last of its chunk: nothing was there to be offered behind it.
      hand.hand(0, 0, hand.data(0));
      const fin = segmentFrame({ ...hand.spec, seq: hand.spec.seq + 100, flags: Flag.Fin | Flag.Ack });
      hand.hand(0, 1, fin);
      const seq = hand.spec.seq + 101;
      expect(hand.offer(0, hand.lay(2, hand.data(1, { seq }), hand.data(2, { seq: seq + 100 })))).toBe(0);
    });
    expect(hand.world.host.stream.written.length).toBe(100);
    expect(hand.world.host.stream.ended).toBe(true);
  });

  test('not with one that others came behind: a segment out of order', () => {
    const hand = new ByHand();
    hand.turn(() => {
      hand.hand(0, 0, hand.data(0));
      hand.hand(0, 1, hand.data(2));
      expect(hand.offer(0, hand.lay(2, hand.data(1), hand.data(2)))).toBe(0);
    });
  });

  test('not with one whose place something else has been read to since', () => {
    const hand = new ByHand();
    hand.turn(() => {
      hand.hand(0, 0, hand.data(0));
      // A frame that looks as if it came from somebody else lies there now, and is none of the stream's.
      const other = hand.data(1, { fromLo: 0x00654321, src: 0x0a000210 });
      hand.hand(0, 0, other);
      const next = hand.data(1, { fromLo: 0x00654321, src: 0x0a000210 });
      expect(hand.offer(0, hand.lay(2, next))).toBe(0);
    });
    expect(hand.world.host.stream.written.length).toBe(100);
  });

  test('not with one that was put together from fragments', () => {
    const hand = new ByHand();
    hand.turn(() => {
      const whole = hand.data(0);
      const parts = [whole.subarray(TCP, TCP + 40), whole.subarray(TCP + 40)].map((bytes, i) => {
        const frame = Buffer.concat([whole.subarray(0, TCP), bytes]);
        frame.writeUInt16BE(20 + bytes.length, IP + 2);
        frame.writeUInt16BE(i === 0 ? 0x2000 : 5, IP + 6);
        frame.writeUInt16BE(0, IP + 10);
        let sum = 0;
        for (let at = IP; at < TCP; at += 2) sum += frame.readUInt16BE(at);
        frame.writeUInt16BE(~((sum & 0xffff) + (sum >>> 16)) & 0xffff, IP + 10);
        return frame;
      });
      for (const part of parts) hand.hand(0, 0, part);
      expect(hand.offer(0, hand.lay(1, hand.data(1)))).toBe(0);
    });
    expect(hand.world.host.stream.written.length).toBe(100);
  });

  test('another port has no part in it, with the same headers', () => {
    const hand = new ByHand();
    hand.turn(() => {
      hand.hand(0, 0, hand.data(0));
      expect(hand.offer(1, hand.lay(1, hand.data(1)))).toBe(0);
      hand.hand(1, 1, hand.data(1));
      expect(hand.offer(1, hand.lay(2, hand.data(2)))).toBe(0);
      expect(hand.offer(0, hand.lay(2, hand.data(1)))).toBe(0);
    });
    expect(hand.world.host.stream.written.length).toBe(100);
    expect(hand.world.network.stats().drops['TcpNoFlow']).toBe(1);
  });
});

test("a train is no way round a turn's budget: frames of a turn are at most TURN_WORK", () => {
  const world = new TrainWorld({});
  const spec = world.connected({ sport: 5000, ts: null });
  const frames = burst({ next: spec, clock: 0, closed: false }, 3 * TURN_WORK + 5, () => 100);
  const perTurn: number[] = [];
  const framesIn = (): number => world.network.stats().links[0]!.framesIn;
  let before = framesIn();
  const note = (): void => {
    perTurn.push(framesIn() - before);
    before = framesIn();
  };
  world.link.receivesSome(framed(frames));
  note();
  while (world.link.goesOn(1)) note();
  expect(perTurn).toEqual([TURN_WORK, TURN_WORK, TURN_WORK, 5]);
  // All but the first of each turn, and where the ring of the flow grows.
  expect(world.trains.taken).toBeGreaterThan(3 * TURN_WORK - 8);
  world.clock.runSoon();
  expect(world.host.stream.written.length).toBe(100 * frames.length);
});

test('RFC 9293 3.10.7.4: a window from ahead of a train is newer than one from within it', () => {
  const twins = new Twins();
  const stream = twins.connect(5000, false, 1000);
  const { next } = stream;
  const frames = burst(stream, 6, () => 100);
  twins.each((world) => {
    world.receives(0, segmentFrame({ ...next, seq: next.seq + 5000 }));
    world.receives(0, ...frames);
    world.receives(0, segmentFrame({ ...next, seq: next.seq + 1000, wnd: 1 }));
    world.host.stream.gives(payload(0, 10_000));
    world.clock.runSoon();
  });
  expect(twins.train.trains.taken).toBe(5);
  twins.expectSame();
});

test('a full window: the train ends where the ordinary way would, and goes on when the host has taken', () => {
  const twins = new Twins({ config: { limits: { flowBytes: 65_536 } } });
  const stream = twins.connect(5000, false, 1000);
  const frames = burst(stream, 80, () => 1448);
  twins.each((world) => {
    world.host.stream.holdWrites = true;
    world.receives(0, ...frames);
  });
  twins.expectSame();
  const { written } = twins.train.host.stream;
  expect(written.length).toBe(0);
  expect(twins.train.trains.taken).toBeGreaterThan(20);
  const acked = twins.train.ackTo(5000) - 1001;
  expect(acked).toBeGreaterThan(60_000);
  expect(acked).toBeLessThanOrEqual(65_536);
  twins.each((world) => {
    world.host.stream.holdWrites = false;
    world.host.stream.letGo();
    world.clock.runSoon();
    world.receives(0, ...frames);
  });
  twins.expectSame();
  const got = Buffer.from(twins.train.host.stream.written);
  expect(got.length).toBeGreaterThan(80_000);
  expect(got.equals(payload(1001, got.length))).toBe(true);
});
