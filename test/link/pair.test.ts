import { describe, expect, test } from 'vitest';
import { Account } from '../../src/base/arena.ts';
import type { FrameRun } from '../../src/base/frame-run.ts';
import { ManualClock } from '../../src/base/manual-clock.ts';
import { TURN_WORK } from '../../src/base/turn.ts';
import type { LinkHost } from '../../src/link/link.ts';
import { createPair } from '../../src/link/pair.ts';
import { BATCH_LEN } from '../../src/link/transmit.ts';
import { newHost, pattern, RecordingSink, sameFrames, sendFrame } from '../support/link-bench.ts';

function bench(arenas: 'one arena' | 'two arenas') {
  const left = newHost(new ManualClock());
  const right = arenas === 'one arena' ? left : newHost(new ManualClock());
  const used = left.arena.used;
  const { link, peer } = createPair('pair0', 65553);
  const a = new RecordingSink(left);
  const b = new RecordingSink(right);
  link.attach(a, left);
  peer.attach(b, right);
  const settle = (): void => {
    for (let i = 0; i < 100; i++) {
      left.clock.runSoon();
      right.clock.runSoon();
    }
  };
  return { left, right, link, peer, a, b, settle, used };
}

/** `sink` takes up to `most` frames of each run that it is offered; returns what it was offered. */
function takesRuns(sink: RecordingSink, host: LinkHost, most: number): FrameRun[] {
  const runs: FrameRun[] = [];
  const { memory } = host.arena;
  Object.assign(sink, {
    onFrames: (run: FrameRun) => {
      runs.push({ ...run });
      for (let n = 0; n < Math.min(most, run.most) && run.at + 4 <= run.end; n++) {
        const len = memory.view.getUint32(run.at);
        if (run.at + 4 + len > run.end) return;
        sink.frames.push(Buffer.from(memory.bytes.subarray(run.at + 4, run.at + 4 + len)));
        run.at += 4 + len;
        host.turn.spend(1);
      }
    },
  });
  return runs;
}

for (const arenas of ['one arena', 'two arenas'] as const) {
  describe(`a cable in memory, its ends in ${arenas}`, () => {
    test('frames arrive whole and in order, both ways, never in the turn of the sender', () => {
      const { left, right, link, peer, a, b, settle } = bench(arenas);
      const frames = Array.from({ length: 200 }, (_, i) => pattern(i, i === 7 ? 65553 : (i * 37) % 1515));
      for (const frame of frames) expect(sendFrame(link, left, frame)).toBe(true);
      expect(b.frames.length).toBe(0);
      settle();
      expect(sameFrames(b.frames, frames)).toBe(true);
      for (const frame of frames) expect(sendFrame(peer, right, frame)).toBe(true);
      expect(a.frames.length).toBe(0);
      settle();
      expect(sameFrames(a.frames, frames)).toBe(true);
    });

    test('recall(): after a throw, the frames up to the one that threw, and those not yet delivered', () => {
      const { left, right, link, peer, a, settle } = bench(arenas);
      const recalled = (): [string, number][] => {
        const list: [string, number][] = [];
        link.recall?.((direction, memory, off, len) => {
          expect(memory.bytes.subarray(off, off + len)).toEqual(pattern(len, len));
          list.push([direction, len]);
        });
        return list;
      };
      for (const len of [60, 61, 62, 63]) sendFrame(peer, right, pattern(len, len));
      a.onEach = () => {
        if (a.frames.length === 3) throw new Error('a bug');
      };
      expect(settle).toThrow('a bug');
      sendFrame(link, left, pattern(70, 70));
      const fromGuest = [60, 61, 62].map((len) => ['from-guest', len]);
      expect(recalled()).toEqual([...fromGuest, ['to-guest', 70]]);
    });

    test('what a frame does that costs more than a turn has is made up for in the turns that follow', () => {
      const { left, right, link, b } = bench(arenas);
      for (let i = 0; i < TURN_WORK; i++) sendFrame(link, left, pattern(i, 60));
      b.onEach = () => {
        if (b.frames.length === 1) right.turn.spend(3 * TURN_WORK);
      };
      const counts: number[] = [];
      for (let round = 0; round < 6; round++) {
        right.clock.runSoon(1);
        counts.push(b.frames.length);
      }
      expect(counts).toEqual([1, 1, 1, TURN_WORK, TURN_WORK, TURN_WORK]);
    });

    test('at most what the budget has, or 256 KiB, in one turn, the rest in the next', () => {
      const { left, right, link, b } = bench(arenas);
      for (let i = 0; i < 250; i++) sendFrame(link, left, pattern(i, 60));
      const counts: number[] = [];
      while (b.frames.length < 250) {
        right.clock.runSoon(1);
        counts.push(b.frames.length);
      }
      expect(counts.filter((n, i) => n !== counts[i - 1])).toEqual(
        expect.arrayContaining([TURN_WORK, 2 * TURN_WORK, 250]),
      );
      b.frames.length = 0;
      for (let i = 0; i < 6; i++) sendFrame(link, left, pattern(i, 65553));
      right.clock.runSoon(1);
      expect(b.frames.length).toBeLessThanOrEqual(4);
      left.clock.runSoon();
      right.clock.runSoon();
      expect(b.frames.length).toBe(6);
    });

    test('onFrames(): what lies behind a frame is offered, within the budget, and is not delivered again', () => {
      const { left, right, link, b, settle } = bench(arenas);
      const frames = Array.from({ length: 150 }, (_, i) => pattern(i, 60 + i));
      for (const frame of frames) sendFrame(link, left, frame);
      const runs = takesRuns(b, right, 40);
      right.clock.runSoon(1);
      expect(b.frames.length).toBe(TURN_WORK);
      settle();
      expect(sameFrames(b.frames, frames)).toBe(true);
      expect(runs[0]!.most).toBe(TURN_WORK - 1);
      // After 1 + 40 + 1 frames of the turn.
      expect(runs[1]!.most).toBe(TURN_WORK - 42);
      // Each run was one of frames that were there.
      for (const { at, end } of runs) expect(at).toBeLessThan(end);
    });

    test('recall(): after a throw, the frames of runs that were taken are shown too', () => {
      const { left, right, link, peer, a, settle } = bench(arenas);
      for (const len of [60, 61, 62, 63, 64, 65]) sendFrame(peer, right, pattern(len, len));
      takesRuns(a, left, 2);
      a.onEach = () => {
        if (a.frames.length === 4) throw new Error('a bug');
      };
      expect(settle).toThrow('a bug');
      const list: number[] = [];
      link.recall?.((direction, memory, off, len) => {
        expect(direction).toBe('from-guest');
        expect(memory.bytes.subarray(off, off + len)).toEqual(pattern(len, len));
        list.push(len);
      });
      expect(list).toEqual([60, 61, 62, 63]);
    });

    test('extend(): frames right behind the one before arrive like any other', () => {
      const { left, right, link, b, settle } = bench(arenas);
      const { memory } = left.arena;
      left.turn.run(() => {
        const first = link.reserve(100);
        memory.bytes.set(pattern(0, 100), first);
        link.commit(100);
        expect(link.extend!(100, 9)).toBe(9);
        for (let i = 1; i < 10; i++) {
          memory.view.setUint32(first + i * 104 - 4, 100);
          memory.bytes.set(pattern(i, 100), first + i * 104);
        }
      });
      settle();
      expect(
        sameFrames(
          b.frames,
          Array.from({ length: 10 }, (_, i) => pattern(i, 100)),
        ),
      ).toBe(true);
      left.turn.run(() => {
        link.commit(link.reserve(100) > 0 ? 100 : 0);
        const fit = Math.floor((BATCH_LEN - 104) / 104);
        expect(link.extend!(100, 100_000)).toBe(fit);
        link.close();
        expect(link.extend!(100, 1)).toBe(0);
      });
      expect(right.turn.count).toBeGreaterThan(0);
    });

    test('a full queue says -1; onLinkWritable follows in a turn of its own once the other end has taken some', () => {
      const { left, link, a, b, settle } = bench(arenas);
      let sent = 0;
      while (sendFrame(link, left, pattern(sent, 1514))) sent++;
      expect(sent).toBeGreaterThan(300);
      expect(sent).toBeLessThan(400);
      expect(a.writable).toBe(0);
      settle();
      expect(b.frames.length).toBe(sent);
      expect(a.writable).toBe(1);
      expect(b.frames.every((frame, i) => frame.equals(pattern(i, 1514)))).toBe(true);
      expect(sendFrame(link, left, pattern(1, 60))).toBe(true);
    });

    test('close() at one end: what was sent before still arrives, then the other end is down, once', () => {
      const { left, link, peer, a, b, settle, used } = bench(arenas);
      for (let i = 0; i < 100; i++) sendFrame(link, left, pattern(i, 60));
      link.close();
      expect(b.down).toBe(null);
      settle();
      expect(b.frames.length).toBe(100);
      expect(b.down).toBe('the other end was closed');
      expect(a.down).toBe(null);
      expect(sendFrame(link, left, pattern(0, 60))).toBe(false);
      peer.close();
      link.close();
      settle();
      expect(left.arena.used).toBe(used);
    });

    test('close() from inside of onFrame stops the frames; both arenas have everything back', () => {
      const { left, right, link, peer, a, b, settle, used } = bench(arenas);
      b.onEach = () => {
        if (b.frames.length === 3) peer.close();
      };
      for (let i = 0; i < 100; i++) sendFrame(link, left, pattern(i, 60));
      sendFrame(peer, right, pattern(5, 77));
      settle();
      expect(b.frames.length).toBe(3);
      expect(b.down).toBe(null);
      expect(a.frames).toEqual([pattern(5, 77)]);
      expect(a.down).toBe('the other end was closed');
      expect(left.arena.used).toBe(used);
      expect(right.arena.used).toBe(used);
    });
  });
}

describe('a cable in memory', () => {
  test('in one arena a frame is delivered where the sender wrote it: no copy', () => {
    const { left, link, b, settle } = bench('one arena');
    let at = 0;
    left.turn.run(() => {
      at = link.reserve(60);
      link.commit(60);
    });
    settle();
    expect(b.offs).toEqual([at]);
  });

  test('what is sent before the other end is attached waits for it', () => {
    const host = newHost(new ManualClock());
    const { link, peer } = createPair('pair0', 1514);
    link.attach(new RecordingSink(host), host);
    sendFrame(link, host, pattern(1, 60));
    host.clock.runSoon();
    const sink = new RecordingSink(host);
    peer.attach(sink, host);
    host.clock.runSoon();
    expect(sink.frames).toEqual([pattern(1, 60)]);
    link.close();
    host.clock.runSoon();
    expect(sink.down).not.toBe(null);
    expect(host.arena.used).toBe(newHost(new ManualClock()).arena.used);
  });

  test('an end that is attached after the other was closed is down in a later turn', () => {
    const host = newHost(new ManualClock());
    const other = newHost(new ManualClock());
    const before = host.arena.used;
    const { link, peer } = createPair('pair0', 1514);
    link.attach(new RecordingSink(host), host);
    link.close();
    expect(host.arena.used).toBe(before);
    const sink = new RecordingSink(other);
    peer.attach(sink, other);
    expect(sink.down).toBe(null);
    other.clock.runSoon();
    expect(sink.down).not.toBe(null);
    expect(host.arena.used).toBe(before);
    expect(other.arena.used).toBe(before);
  });

  test('an arena without room: attach throws and keeps nothing', () => {
    const host = newHost(new ManualClock());
    const account = new Account();
    while (host.arena.take(262144, account) >= 0);
    const before = host.arena.used;
    const { link } = createPair('pair0', 1514);
    expect(() => link.attach(new RecordingSink(host), host)).toThrow(/no room/);
    expect(host.arena.used).toBe(before);
  });
});
