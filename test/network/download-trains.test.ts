// Downloads in trains against downloads frame by frame: what the guest is sent is the same to the byte, whatever
// windows, losses and links without room do meanwhile.

import { describe, expect, test } from 'vitest';
import { BATCH_LEN } from '../../src/link/transmit.ts';
import { seqDiff, seqLeq, seqLt, seqMax } from '../../src/tcp/seq.ts';
import { checkTcb, type Tcb } from '../../src/tcp/tcb.ts';
import { Flag } from '../../src/wire/tcp.ts';
import { isTcp } from '../support/raw-frames.ts';
import { SeededRandom } from '../support/seeded-random.ts';
import { type SegmentSpec, segmentFrame, TCP } from '../support/train-frames.ts';
import { TrainWorld, type TrainWorldOptions } from '../support/train-world.ts';

function text(from: number, len: number): Uint8Array {
  const out = new Uint8Array(len);
  for (let i = 0; i < len; i++) out[i] = Math.imul(from + i, 0x9e3779b1) >>> 15;
  return out;
}

/** Where a segment of the network's begins and ends, FIN included. */
function range(frame: Buffer): { seq: number; end: number; flags: number; off: number } {
  const header = (frame[TCP + 12]! >> 4) * 4;
  const len = frame.readUInt16BE(16) - 20 - header;
  const seq = frame.readInt32BE(TCP + 4);
  const flags = frame[TCP + 13]!;
  return { seq, end: (seq + len + (flags & Flag.Fin)) | 0, flags, off: TCP + header };
}

/** A guest that takes what comes in order, keeps what comes early, and says so. */
class Receiver {
  next: SegmentSpec;
  clock = 1000;
  wnd: number;
  finished = false;
  private finEnd: number | null = null;
  private readonly iss: number;
  private readonly early: [number, number][] = [];
  private seen = 0;
  readonly got: Buffer;

  constructor(next: SegmentSpec, size: number) {
    this.next = next;
    this.wnd = next.wnd;
    this.iss = next.ack;
    this.got = Buffer.alloc(size + 1);
  }

  /** The frames that have come since; `lose` says which do not. */
  takes(frames: readonly Buffer[], lose: () => boolean): void {
    const fresh = frames.slice(this.seen);
    this.seen = frames.length;
    for (const frame of fresh) {
      if (!isTcp(frame) || frame.readUInt16BE(36) !== this.next.sport) continue;
      const { seq, end, flags, off } = range(frame);
      if (seq === end || lose()) continue;
      frame.copy(this.got, seqDiff(seq, this.iss), off, off + seqDiff(end, seq));
      this.early.push([seq, end]);
      if (flags & Flag.Fin) this.finEnd = end;
    }
    this.early.sort((a, b) => seqDiff(a[0], b[0]));
    let ack = this.next.ack;
    for (const [left, right] of this.early) if (seqLeq(left, ack)) ack = seqMax(ack, right);
    this.next = { ...this.next, ack };
    this.finished = ack === this.finEnd;
  }

  /** Blocks of what is there beyond the next, at most three. RFC 2018 3. */
  get blocks(): [number, number][] {
    const blocks: [number, number][] = [];
    for (const [left, right] of this.early) {
      if (!seqLt(this.next.ack, left)) continue;
      const last = blocks.at(-1);
      if (last !== undefined && seqLeq(left, last[1])) last[1] = seqMax(last[1], right);
      else blocks.push([left, right]);
    }
    return blocks.slice(0, 3);
  }

  ack(): Buffer {
    const ts: SegmentSpec['ts'] = this.next.ts === null ? null : [this.clock, 0];
    return segmentFrame({ ...this.next, ts, wnd: this.wnd, sack: this.blocks });
  }
}

interface Scene {
  readonly timestamps?: boolean;
  readonly iss?: number;
  readonly mss?: number;
  readonly size?: number;
  /** Of a hundred frames, lost on the way to the guest. */
  readonly losses?: number;
  readonly config?: TrainWorldOptions['config'];
  /** Milliseconds of a round trip. */
  readonly trip?: number;
  /** What the guest's window is now and then. */
  readonly windows?: readonly number[];
  /** Now and then nothing is taken off the link. */
  readonly stalls?: boolean;
  /** Bytes that the host gives at a time. */
  readonly gives?: number;
}

/** What differs in those it is compared with. `oneByOne`: ACKs take each record off the log by itself. */
const OTHERS: readonly (TrainWorldOptions & { readonly oneByOne?: boolean })[] = [
  { extends: false },
  { kernel: 'js' },
  { kernel: 'js', oneByOne: true },
];

function tcbOf(world: TrainWorld): Tcb | null {
  const inner = world.network as unknown as {
    nat: { flows: { guests: Map<number, { tcp: Set<{ tcb: Tcb }> }> } };
  };
  for (const { tcp } of inner.nat.flows.guests.values()) for (const { tcb } of tcp) return tcb;
  return null;
}

/** Plays it; returns the network in trains. */
function play(seed: number, scene: Scene = {}): TrainWorld {
  const { timestamps = true, mss = 1460, size = 600_000, losses = 0, trip = 1, gives = 100_000 } = scene;
  const { config = {} } = scene;
  const worlds = [{}, ...OTHERS].map((more) => new TrainWorld({ config, ...more }));
  const [train] = worlds as [TrainWorld];
  const iss = scene.iss ?? 5000;
  for (const { network } of worlds) {
    const inner = network as unknown as { nat: { context: { isn: { next(): number } } } };
    inner.nat.context.isn.next = () => iss | 0;
  }
  const ts: SegmentSpec['ts'] = timestamps ? [1000, 0] : null;
  const [spec] = worlds.map((world) => world.connected({ sport: 5000, ts }, mss, trip));
  for (const [i, { oneByOne }] of OTHERS.entries())
    if (oneByOne) tcbOf(worlds[i + 1]!)!.recovery.log.countTo = () => 0;
  const receiver = new Receiver(spec!, size);
  const random = new SeededRandom(seed);
  let given = 0;
  for (let round = 0; round < 3000 && !receiver.finished; round++) {
    const part = Math.min(size - given, 1 + random.below(gives));
    if (part > 0 && train.host.stream.undelivered < 4 * gives) {
      for (const world of worlds) world.host.stream.gives(text(given, part));
      given += part;
      if (given === size) for (const world of worlds) world.host.stream.ends();
    }
    const stalls = scene.stalls === true && random.below(4) > 0;
    for (const world of worlds) {
      world.link.takes = !stalls;
      if (!stalls) world.link.takeAll();
      world.clock.runSoon();
      world.clock.advance(trip);
      const tcb = tcbOf(world);
      if (tcb !== null) checkTcb(tcb);
    }
    expectSame(worlds);
    receiver.takes(train.link.frames, () => random.below(100) < losses);
    receiver.clock += trip;
    if (scene.windows !== undefined && random.below(3) === 0)
      receiver.wnd = scene.windows[random.below(scene.windows.length)]!;
    if (random.below(6) === 0) continue;
    const ack = receiver.ack();
    for (const world of worlds) world.receives(0, ack);
    expectSame(worlds);
  }
  // The text, and FIN.
  expect(seqDiff(receiver.next.ack, (iss + 1) | 0)).toBe(size + 1);
  expect(receiver.got.subarray(0, size).equals(text(0, size))).toBe(true);
  return train;
}

function expectSame(worlds: readonly TrainWorld[]): void {
  const train = worlds[0]!;
  const { frames } = train.link;
  for (const world of worlds.slice(1)) {
    const { link } = world;
    const differs = link.frames.findIndex((frame, i) => i >= world.compared && !frame.equals(frames[i]!));
    expect(differs, 'frame to the guest that differs').toBe(-1);
    world.compared = link.frames.length;
    expect(world.tale).toEqual(train.tale);
  }
}

describe('a download in trains', () => {
  test.each([true, false])('is byte for byte the one without, timestamps %s', (timestamps) => {
    const world = play(1, { timestamps });
    expect(world.trains.made).toBeGreaterThan(200);
    expect(world.link.extended).toBe(world.trains.made);
  });

  test.each([
    ['2^31', 0x7fffffff - 100_000],
    ['2^32', -100_000],
  ])('over %s', (_, iss) => {
    expect(play(2, { iss }).trains.made).toBeGreaterThan(200);
  });

  test.each([536, 537, 999, 64])('of segments of an MSS of %i', (mss) => {
    expect(play(3, { mss, size: 200_000 }).trains.made).toBeGreaterThan(100);
  });

  test('with windows that are narrow, closed and wide', () => {
    const windows = [0, 1, 11, 12, 100, 500, 60_000];
    expect(play(4, { windows }).trains.made).toBeGreaterThan(100);
  });

  test.each([5, 6, 7, 8])('with losses, SACK and recovery, seed %i', (seed) => {
    const world = play(seed, { losses: 3, timestamps: seed % 2 === 0 });
    expect(world.trains.made).toBeGreaterThan(50);
    expect(world.network.stats().tcp.retransmits).toBeGreaterThan(3);
  });

  test('with NewReno and a long way, paced and not', () => {
    const [paced, unpaced] = [true, false].map((pacing) =>
      play(9, { trip: 20, losses: 1, config: { congestion: 'newreno', pacing } }),
    );
    expect(unpaced!.trains.made).toBeGreaterThan(50);
    // What is spread over the round trip goes one by one.
    expect(paced!.trains.made).toBeLessThan(unpaced!.trains.made / 2);
  });

  test('with a ring of few segments, round and round', () => {
    const config = { limits: { flowBytes: 16_384 } };
    expect(play(10, { config, size: 400_000 }).trains.made).toBeGreaterThan(50);
  });

  test('with a link that is full in the midst of it', () => {
    // Queue and window are larger than what the link holds: two batches.
    const config = { limits: { flowBytes: 4 << 20, arenaBytes: 64 << 20 } };
    const world = play(11, { stalls: true, size: 6_000_000, gives: 400_000, config, windows: [65_535] });
    expect(world.link.fellShort).toBeGreaterThan(0);
    expect(world.trains.made).toBeGreaterThan(BATCH_LEN / 1514);
  });

  test('the last of the queue has PSH, and nothing before it', () => {
    const world = new TrainWorld({});
    world.connected({ sport: 5000, ts: [1000, 0] });
    const before = world.link.frames.length;
    world.host.stream.gives(text(0, 8 * 1448));
    world.clock.runSoon();
    const sent = world.link.frames.slice(before).map((frame) => range(frame));
    expect(sent.map(({ flags }) => flags)).toEqual([...Array(7).fill(Flag.Ack), Flag.Ack | Flag.Psh]);
    expect(world.trains.made).toBe(6);
  });
});
