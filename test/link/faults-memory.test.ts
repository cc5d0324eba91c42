import { describe, expect, test } from 'vitest';
import { Account } from '../../src/base/arena.ts';
import { ManualClock } from '../../src/base/manual-clock.ts';
import { TURN_WORK } from '../../src/base/turn.ts';
import { captureLink } from '../../src/link/capture.ts';
import type { FaultOptions } from '../../src/link/fault-options.ts';
import { faultyLink } from '../../src/link/faults.ts';
import type { Link } from '../../src/link/link.ts';
import { FaultBench, numbered, numbersOf, someNumbered, upTo } from '../support/fault-bench.ts';
import { NetworkBench } from '../support/guest-bench.ts';
import { newHost, RecordingSink, sameFrames, sendFrame } from '../support/link-bench.ts';
import { RawLink } from '../support/raw-guest.ts';

/** Of each direction, in the 32 MiB arena of a FaultBench. */
const LIMIT = 2 << 20;

describe('memory for frames that wait', () => {
  test('without a rate, back-pressure at the limit: nothing is lost', () => {
    const bench = new FaultBench({ delay: 50 });
    const frames = someNumbered(6000, 1514);
    let sent = 0;
    let refused = 0;
    while (sent < frames.length) {
      while (sent < frames.length && bench.toGuest(frames[sent]!)) sent++;
      if (sent === frames.length) break;
      refused++;
      expect(bench.heldMore).toBeLessThanOrEqual(LIMIT);
      expect(bench.heldMore).toBeGreaterThan(LIMIT - (256 << 10));
      const told = bench.sink.writable;
      bench.clock.advance(50);
      expect(bench.sink.writable).toBe(told + 1);
    }
    bench.clock.advance(100);
    expect(refused).toBeGreaterThan(2);
    expect(bench.takeNumbers()).toEqual(upTo(6000));
    expect(bench.counts.toGuest).toMatchObject({ passed: 6000, lost: 0, noMemory: 0, waiting: 0 });
    expect(bench.heldMore).toBe(0);
  });

  test('from the guest, what finds no room is dropped and counted', () => {
    const bench = new FaultBench({ delay: 50 });
    bench.fromGuest(...someNumbered(6000, 1514));
    const { noMemory, queueFull, waiting } = bench.counts.fromGuest;
    expect(noMemory).toBeGreaterThan(0);
    expect([noMemory + waiting, queueFull]).toEqual([6000, 0]);
    expect(bench.heldMore).toBeLessThanOrEqual(LIMIT);
    bench.clock.advance(60);
    expect(numbersOf(bench.sink.frames)).toEqual(upTo(waiting));
    expect(bench.heldMore).toBe(0);
  });

  test.each<FaultOptions>([
    { rate: 1e6, queue: 100_000 },
    { rate: 1e10, delay: 1000 },
  ])('with a rate, what finds no room is dropped and counted in both directions: %o', (options) => {
    const bench = new FaultBench(options);
    const frames = someNumbered(3000, 1514);
    for (const frame of frames) {
      expect(bench.toGuest(frame)).toBe(true);
      bench.fromGuest(frame);
      bench.clock.advanceMicros(2);
    }
    expect(bench.heldMore).toBeLessThanOrEqual(2 * LIMIT);
    const { waiting } = bench.counts.toGuest;
    expect(waiting).toBeGreaterThan(1300);
    for (const lane of [bench.counts.toGuest, bench.counts.fromGuest])
      expect(lane).toMatchObject({ passed: 0, queueFull: 0, noMemory: 3000 - waiting, waiting });
    bench.clock.advance(20_000);
    // The tail is what was dropped, and it was written over nothing that waits.
    for (const out of [bench.raw.frames, bench.sink.frames])
      expect(sameFrames(out, frames.slice(0, waiting))).toBe(true);
    expect(bench.sink.writable).toBe(0);
    expect(bench.heldMore).toBe(0);
    expect(bench.toGuest(frames[0]!)).toBe(true);
    bench.clock.advance(2000);
    expect(bench.counts.toGuest).toMatchObject({ passed: waiting + 1, noMemory: 3000 - waiting });
  });

  test('a full queue is told from a lack of memory', () => {
    const bench = new FaultBench({ rate: 1e6, queue: 4, delay: 60_000 });
    for (let i = 0; i < 400; i++) {
      bench.allToGuest(someNumbered(10, 1514));
      bench.clock.advance(100);
    }
    // Of ten one leaves, four wait and five are dropped. When the memory is full, none leaves or waits.
    const { queueFull, noMemory, waiting } = bench.counts.toGuest;
    expect(queueFull + noMemory + waiting).toBe(4000);
    expect(waiting).toBeGreaterThan(1300);
    expect(Math.abs(queueFull - waiting)).toBeLessThan(10);
    expect(noMemory).toBeGreaterThan(1000);
  });

  test('a frame that has a fate has it without memory, too', () => {
    const options = { loss: 0.2, duplicate: 0.3, delay: 50, seed: 5 };
    const [poor, rich] = [new FaultBench(options), new FaultBench(options)];
    poor.fromGuest(...someNumbered(6000, 1514));
    rich.fromGuest(...someNumbered(6000, 14));
    const { lost, duplicated, noMemory, waiting } = poor.counts.fromGuest;
    expect(noMemory).toBeGreaterThan(0);
    expect(rich.counts.fromGuest).toMatchObject({ lost, duplicated, noMemory: 0 });
    expect(lost + noMemory + waiting).toBe(6000 + duplicated);
  });

  test.each<FaultOptions>([{ delay: 1 }, { rate: 1e9 }, { delay: 1, duplicate: 1 }])(
    '2049 frames of no bytes: %o',
    (options) => {
      const bench = new FaultBench({ queue: 1e5, rate: 1e10, ...options });
      const other = bench.host.arena.take(131_072, new Account());
      bench.host.arena.memory.bytes.fill(0xa5, other, other + 131_072);
      for (let i = 0; i < 2049; i++) {
        bench.fromGuest(Buffer.alloc(0));
        expect(bench.toGuest(Buffer.alloc(0))).toBe(true);
      }
      bench.clock.advance(10);
      const copies = options.duplicate === 1 ? 2 : 1;
      expect([bench.sink.frames.length, bench.raw.frames.length]).toEqual([2049 * copies, 2049 * copies]);
      expect(bench.heldMore).toBe(131_072);
      expect(bench.host.arena.memory.bytes.subarray(other, other + 131_072).every((b) => b === 0xa5)).toBe(
        true,
      );
    },
  );

  test.each<FaultOptions>([
    { delay: 10 },
    { loss: 0.1 },
    { rate: 1e9, queue: 100_000, duplicate: 0.5 },
    { reorder: 1 },
  ])('100 000 frames in a turn, each way: %o', (options) => {
    const bench = new FaultBench(options);
    const most = { turn: 0 };
    const eachTurn = {
      flush: () => {
        most.turn = Math.max(most.turn, bench.sink.frames.length - seen);
        seen = bench.sink.frames.length;
      },
    };
    let seen = 0;
    bench.sink.onEach = () => bench.host.turn.wantFlush(eachTurn);
    const tiny = numbered(1, 14);
    let taken = 0;
    bench.host.turn.run(() => {
      for (let i = 0; i < 100_000; i++) {
        bench.fromGuest(tiny);
        if (bench.toGuest(tiny)) taken++;
      }
      expect(bench.heldMore).toBeLessThanOrEqual(2 * LIMIT);
    });
    bench.clock.advance(2000);
    for (const [lane, came] of [
      [bench.counts.fromGuest, 100_000],
      [bench.counts.toGuest, taken],
    ] as const) {
      expect(lane.passed + lane.lost + lane.queueFull + lane.noMemory).toBe(came + lane.duplicated);
      expect(lane.waiting).toBe(0);
    }
    expect(most.turn).toBeGreaterThan(0);
    expect(most.turn).toBeLessThanOrEqual(64);
    expect(bench.heldMore).toBe(0);
    expect([bench.host.timers.armed, bench.clock.soonCount]).toEqual([0, 0]);
  });

  test('what frames cause when they come late is bounded in each turn, as of those that come at once', () => {
    const bench = new FaultBench({ delay: 10 });
    const { turn } = bench.host;
    const works: number[] = [];
    bench.sink.onEach = () => {
      turn.spend(TURN_WORK);
      works.push(turn.work);
    };
    bench.fromGuest(...someNumbered(5));
    bench.clock.advance(100);
    expect(numbersOf(bench.sink.frames)).toEqual(upTo(5));
    // The frame is one unit; what the turn before was over by is owed.
    expect(works).toEqual(upTo(5).map((before) => before + 1 + TURN_WORK));
  });

  test('a frame of no bytes passes, whatever befalls it', () => {
    const bench = new FaultBench({ corrupt: 1, duplicate: 1, rate: 1e6 });
    bench.fromGuest(Buffer.alloc(0));
    bench.clock.advance(5);
    expect(bench.sink.frames.map((frame) => frame.length)).toEqual([0, 0]);
  });

  test('an arena without room: attach() says so, and keeps nothing', () => {
    const clock = new ManualClock();
    const host = newHost(clock, 2 << 20);
    const account = new Account();
    // All but one of the blocks that two directions need.
    while (host.arena.size - host.arena.used > 262_144) host.arena.take(4096, account);
    const before = host.arena.used;
    const link = faultyLink(new RawLink('guest0'), { loss: 0.1 });
    expect(() => link.attach(new RecordingSink(host), host)).toThrow(/no room/);
    expect(host.arena.used).toBe(before);
    expect(link.faults).toBeUndefined();
  });
});

describe('several links of one network', () => {
  /** `count` faulty links in an arena of 32 MiB, and what of it they hold. */
  function manyLinks(count: number, options: FaultOptions) {
    const host = newHost(new ManualClock(), 32 << 20);
    const sink = new RecordingSink(host);
    const before = host.arena.used;
    const raws: RawLink[] = [];
    const links: Link[] = [];
    const plug = (): number => {
      const raw = new RawLink(`guest${raws.length}`);
      const link = faultyLink(raw, options);
      link.attach(sink, host);
      return Math.min(raws.push(raw), links.push(link)) - 1;
    };
    while (links.length < count) plug();
    const held = (): number => host.arena.used - before - raws.length * RAW_LEN;
    return { host, sink, raws, links, plug, held };
  }

  /** What a RawLink takes, and never gives back. */
  const RAW_LEN = 131_072;
  const QUARTER = 8 << 20;

  test.each<FaultOptions>([{ delay: 60_000 }, { delay: 60_000, rate: 1e10, queue: 100_000 }])(
    'sixteen of them leave three quarters of the arena, and each carries something: %o',
    async (options) => {
      const { host, sink, raws, links, plug, held } = manyLinks(16, options);
      const frame = numbered(7, 1514);
      for (const [i, link] of links.entries()) {
        for (let n = 0; n < 2000; n++) raws[i]!.sends(frame);
        for (let n = 0; n < 2000; n++) sendFrame(link, host, frame);
      }
      expect(held()).toBeLessThanOrEqual(QUARTER);
      expect(held()).toBeGreaterThan(QUARTER / 2);
      for (const link of links) {
        const { toGuest, fromGuest } = link.faults!;
        expect(toGuest.waiting).toBeGreaterThan(80);
        expect(fromGuest.waiting).toBeGreaterThan(80);
        expect(fromGuest.waiting + fromGuest.noMemory).toBe(2000);
      }
      // One that comes now finds room for its first frames.
      const late = plug();
      raws[late]!.sends(frame);
      expect(sendFrame(links[late]!, host, frame)).toBe(true);
      expect(held()).toBeLessThanOrEqual(QUARTER);
      host.clock.advance(61_000);
      expect(sink.frames.length).toBe(links.reduce((sum, link) => sum + link.faults!.fromGuest.passed, 0));
      for (const link of links) expect(link.faults!.fromGuest.waiting + link.faults!.toGuest.waiting).toBe(0);
      expect(sendFrame(links[0]!, host, frame)).toBe(true);
      for (const link of links) await link.close();
      expect(held()).toBe(0);
    },
  );
});

describe('the inner link is full', () => {
  test('frames wait for it in their order, and whoever was refused is told', () => {
    const bench = new FaultBench({ delay: 5 });
    bench.raw.full = true;
    bench.allToGuest(someNumbered(10));
    bench.clock.advance(20);
    expect(bench.raw.frames).toEqual([]);
    expect(bench.toGuest(numbered(10))).toBe(false);
    expect(bench.counts.toGuest.waiting).toBe(10);
    expect([bench.host.timers.armed, bench.clock.soonCount]).toEqual([0, 0]);
    bench.raw.hasRoom();
    expect(bench.takeNumbers()).toEqual(upTo(10));
    expect(bench.sink.writable).toBe(1);
    expect(bench.toGuest(numbered(10))).toBe(true);
    bench.clock.advance(5);
    expect(bench.takeNumbers()).toEqual([10]);
  });

  test('without any delay it is as if the link were not there: refused, told, in order', () => {
    const bench = new FaultBench({ loss: 0 });
    bench.raw.full = true;
    // The first finds out.
    expect(bench.toGuest(numbered(0))).toBe(true);
    expect(bench.toGuest(numbered(1))).toBe(false);
    bench.raw.hasRoom();
    expect(bench.takeNumbers()).toEqual([0]);
    expect(bench.sink.writable).toBe(1);
  });

  test('a rate goes on: its queue is dropped from, not refused', () => {
    const bench = new FaultBench({ rate: 1e6, queue: 4 });
    bench.raw.full = true;
    bench.clock.advance(1);
    bench.allToGuest(someNumbered(10, 125));
    bench.clock.advance(50);
    expect(bench.toGuest(numbered(10, 125))).toBe(true);
    bench.clock.advance(50);
    bench.raw.hasRoom();
    expect(bench.takeNumbers()).toEqual([0, 1, 2, 3, 4, 10]);
    expect(bench.counts.toGuest.queueFull).toBe(5);
  });
});

describe('the cable is pulled out', () => {
  const options = { delay: 20, jitter: 5, rate: 1e7, reorder: 0.2 };

  function underWay(): FaultBench {
    const bench = new FaultBench(options);
    bench.allToGuest(someNumbered(500, 1514));
    bench.fromGuest(...someNumbered(500, 1514));
    bench.clock.advance(30);
    expect(bench.heldMore).toBeGreaterThan(0);
    return bench;
  }

  function expectNothingLeft(bench: FaultBench): void {
    const [seen, sent] = [bench.sink.frames.length, bench.raw.frames.length];
    expect(bench.heldAtAll).toBe(0);
    expect(bench.host.timers.armed).toBe(0);
    for (const lane of [bench.counts.toGuest, bench.counts.fromGuest]) {
      expect(lane.waiting).toBe(0);
      expect(lane.passed + lane.cutOff).toBe(500);
      expect(lane.cutOff).toBeGreaterThan(0);
    }
    bench.clock.advance(1000);
    bench.fromGuest(numbered(1));
    expect(bench.toGuest(numbered(1))).toBe(false);
    expect([bench.sink.frames.length, bench.raw.frames.length]).toEqual([seen, sent]);
    expect([bench.host.timers.armed, bench.clock.soonCount]).toEqual([0, 0]);
  }

  test('from our side: the arena and the timers have everything back', async () => {
    const bench = underWay();
    await bench.link.close();
    await bench.link.close();
    expectNothingLeft(bench);
    expect(bench.sink.down).toBeNull();
  });

  test('from the other side: so, too, and the sink is told once', () => {
    const bench = underWay();
    bench.raw.goesDown('unplugged');
    expect(bench.sink.down).toBe('unplugged');
    bench.sink.down = null;
    bench.raw.goesDown('again');
    expect(bench.sink.down).toBeNull();
    expectNothingLeft(bench);
  });

  test('by whoever gets a frame, while it is being passed on', () => {
    const bench = new FaultBench({ delay: 10 });
    bench.fromGuest(...someNumbered(500));
    bench.sink.onEach = () => void (bench.sink.frames.length === 3 && bench.link.close());
    bench.clock.advance(20);
    expect(numbersOf(bench.sink.frames)).toEqual([0, 1, 2]);
    expect(bench.counts.fromGuest).toMatchObject({ passed: 3, cutOff: 497, waiting: 0 });
    expect(bench.heldAtAll).toBe(0);
  });

  test('before it was plugged in: it is not plugged in any more, and takes nothing of the arena', async () => {
    const host = newHost(new ManualClock());
    const link = faultyLink(new RawLink('guest0'), { loss: 0.5 });
    await link.close();
    const before = host.arena.used;
    expect(() => link.attach(new RecordingSink(host), host)).toThrow(/^the link guest0 is closed$/);
    expect(host.arena.used).toBe(before);
    expect(link.faults).toBeUndefined();
    await link.close();
  });
});

test('in a network: a guest behind it gets its lease, the statistics say what it did, nothing is left', async () => {
  const bench = new NetworkBench();
  const wrap = (link: RawLink | Parameters<typeof captureLink>[0]) =>
    captureLink(faultyLink(link, { delay: 5, rate: 1e8, duplicate: 1 }), { record: () => {} });
  const guest = bench.plug('guest0', { wrap });
  const lease = await bench.lease(guest, 100);
  expect(lease.address).toBeDefined();
  const [link] = bench.network.stats().links;
  const { faults, framesIn } = link!;
  expect(faults?.fromGuest.passed).toBe(framesIn);
  expect(faults?.fromGuest.duplicated).toBe(framesIn / 2);
  expect(faults?.toGuest.waiting).toBe(0);
  expect(await bench.close()).toEqual({ flows: 0, timers: 0, arena: 0 });
  expect(bench.network.stats().links[0]?.faults?.fromGuest.passed).toBe(framesIn);
});
