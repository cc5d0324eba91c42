import { describe, expect, test } from 'vitest';
import type { AckSample } from '../../src/tcp/congestion.ts';
import { Cubic } from '../../src/tcp/cubic.ts';

const MSS = 1000;
const WIDEST = 2 ** 30;

/** A sender whose window is always full, on a way that loses nothing. */
class Sender {
  readonly cubic = new Cubic();
  now = 0;
  readonly rtt: number;
  private readonly mss: number;

  constructor(rtt: number, mss = MSS) {
    this.rtt = rtt;
    this.mss = mss;
    this.cubic.setMss(mss);
  }

  ack(delivered: number, flight = this.cubic.cwnd): void {
    this.cubic.onAck(ackOf(this.now, delivered, flight, this.rtt));
  }

  /** Lets a window arrive per round trip, evenly, in segments, each acknowledged. */
  runs(ms: number): void {
    let credit = 0;
    for (const end = this.now + ms; this.now < end; ) {
      this.now++;
      credit += this.cubic.cwnd / this.rtt;
      for (; credit >= this.mss; credit -= this.mss) this.ack(this.mss);
    }
  }

  /** A window of `segments`, lost whole and recovered: congestion avoidance from 0.7 of it. */
  loses(segments: number): void {
    this.cubic.cwnd = segments * this.mss;
    this.losesOne();
  }

  losesOne(): void {
    this.cubic.onLoss(this.cubic.cwnd);
    this.cubic.onRecovered();
  }

  get window(): number {
    return this.cubic.cwnd / this.mss;
  }
}

function ackOf(now: number, delivered: number, flight: number, srtt: number): AckSample {
  return { now, delivered, flight, rtt: srtt, srtt };
}

describe('RFC 9438 4.2: the window follows C (t - K)^3 + W_max', () => {
  // A long way: the Reno-friendly region would be far below. K is the cube root of W_max 0.3 / 0.4.
  test.each([
    [100, 4.217],
    [500, 7.211],
    [2000, 11.447],
  ])('after a loss at %i segments, flat at %f s', (wMax, k) => {
    const sender = new Sender(400);
    sender.loses(wMax);
    expect(sender.window).toBe(0.7 * wMax);
    const begin = sender.now;
    for (const at of [0.25, 0.5, 0.75, 1, 1.25, 1.5]) {
      sender.runs(begin + Math.round(at * k * 1000) - sender.now);
      // The distance from the plateau goes with the third power of the time left to it.
      const expected = wMax - 0.3 * wMax * (1 - at) ** 3;
      expect(Math.abs(sender.window - expected)).toBeLessThan(0.02 * wMax);
    }
  });

  test('4.4: concave before the plateau, 4.5: convex behind it', () => {
    const sender = new Sender(300);
    sender.loses(1000);
    const steps: number[] = [];
    for (let i = 0; i < 18; i++) {
      const before = sender.window;
      sender.runs(1000);
      steps.push(sender.window - before);
    }
    // K is 9.09 s.
    for (let i = 1; i < 8; i++) expect(steps[i]).toBeLessThan(steps[i - 1]!);
    for (let i = 11; i < 18; i++) expect(steps[i]).toBeGreaterThan(steps[i - 1]!);
  });

  test('not more than half as much again in a round trip, wherever the curve is', () => {
    const sender = new Sender(100);
    sender.loses(10);
    sender.ack(MSS);
    sender.now += 100_000;
    const { cwnd } = sender.cubic;
    sender.ack(cwnd);
    expect(Math.abs(sender.cubic.cwnd - 1.5 * cwnd)).toBeLessThanOrEqual(1);
  });

  test('one ACK for forty segments does what forty ACKs do', () => {
    const one = new Sender(100);
    const forty = new Sender(100);
    one.loses(200);
    forty.loses(200);
    for (let round = 0; round < 30; round++) {
      one.now += 20;
      forty.now += 20;
      one.ack(40 * MSS);
      for (let i = 0; i < 40; i++) forty.ack(MSS);
    }
    expect(Math.abs(one.window - forty.window)).toBeLessThan(3);
  });
});

describe('RFC 9438 4.3: the Reno-friendly region', () => {
  test('on a short way 9/17 of a segment a round trip, one from the old window on', () => {
    const sender = new Sender(10);
    sender.loses(20);
    sender.runs(50);
    expect(sender.window).toBeCloseTo(14 + 5 * (9 / 17), 0);
    // Another 3.4 segments to 20, then 20 round trips.
    sender.runs(63);
    expect(sender.window).toBeCloseTo(20, 0);
    sender.runs(200);
    expect(Math.abs(sender.window - 40)).toBeLessThan(2);
  });

  test('it is left where the curve is higher', () => {
    const [short, long] = [new Sender(10), new Sender(200)];
    for (const sender of [short, long]) {
      sender.loses(100);
      sender.runs(4000);
    }
    // 400 round trips of at least 9/17; 20 of them would be 10.6.
    expect(short.window).toBeGreaterThan(200);
    expect(Math.abs(long.window - 100)).toBeLessThan(1);
  });
});

describe('RFC 9438 4.6, 4.7', () => {
  test('a loss takes the window to 0.7 of what was in flight', () => {
    const sender = new Sender(10);
    sender.cubic.onLoss(50_000);
    expect(sender.cubic.ssthresh).toBe(35_000);
    sender.cubic.onRecovered();
    expect(sender.cubic.cwnd).toBe(35_000);
  });

  test('fast convergence: a loss below the last one puts the plateau at 0.85 of the window', () => {
    const sender = new Sender(400);
    sender.loses(1000);
    sender.loses(800);
    // K = cbrt((680 - 560) / 0.4) = 6.69 s.
    sender.runs(6690);
    expect(Math.abs(sender.window - 680)).toBeLessThan(3);
  });

  test('a loss above the last one puts it at the window', () => {
    const sender = new Sender(400);
    sender.loses(800);
    sender.loses(1000);
    sender.runs(9086);
    expect(Math.abs(sender.window - 1000)).toBeLessThan(3);
  });

  test.each([1, 88, 536, 1460, 65_480])('with an MSS of %i never below two segments', (mss) => {
    const sender = new Sender(50, mss);
    for (let i = 0; i < 20; i++) sender.losesOne();
    expect([sender.cubic.ssthresh, sender.cubic.cwnd]).toEqual([2 * mss, 2 * mss]);
    for (let i = 0; i < 5; i++) sender.cubic.onTimeout(mss, i > 0);
    expect([sender.cubic.ssthresh, sender.cubic.cwnd]).toEqual([2 * mss, mss]);
    sender.runs(1000);
    expect(sender.cubic.cwnd).toBeGreaterThan(2 * mss);
    expect(Number.isInteger(sender.cubic.cwnd)).toBe(true);
  });
});

describe('RFC 9438 4.8: a timeout', () => {
  test('one segment, 0.7 of the flight; the same segment again goes no further', () => {
    const { cubic } = new Sender(10);
    cubic.onTimeout(10_000, false);
    expect([cubic.cwnd, cubic.ssthresh]).toEqual([MSS, 7000]);
    cubic.onTimeout(1000, true);
    expect([cubic.cwnd, cubic.ssthresh]).toEqual([MSS, 7000]);
  });

  test('behind slow start the curve begins flat, whatever was known before', () => {
    const sender = new Sender(200);
    sender.loses(1000);
    sender.cubic.onTimeout(100_000, false);
    sender.runs(2000);
    // Seven round trips of slow start to 70 segments; 0.6 s later 0.4 t^3 is nothing, NewReno's part a segment or two.
    expect(sender.window).toBeGreaterThanOrEqual(70);
    expect(sender.window).toBeLessThan(74);
    sender.runs(5000);
    expect(sender.window).toBeGreaterThan(70 + 0.4 * 5 ** 3);
    expect(sender.window).toBeLessThan(70 + 0.4 * 6.2 ** 3);
  });

  test('slow start ends at ssthresh, also within one ACK', () => {
    const { cubic } = new Sender(10);
    cubic.onTimeout(10_000, false);
    cubic.onAck(ackOf(5, 60_000, 60_000, 10));
    expect(cubic.cwnd).toBeGreaterThanOrEqual(7000);
    expect(cubic.cwnd).toBeLessThanOrEqual(8000);
  });
});

describe('RFC 9438 4.9: a loss that was none', () => {
  test('the window and its curve go on as if nothing had been', () => {
    const [plain, undone] = [new Sender(200), new Sender(200)];
    for (const sender of [plain, undone]) {
      sender.loses(500);
      sender.runs(3000);
    }
    undone.losesOne();
    undone.cubic.undo();
    expect([undone.cubic.cwnd, undone.cubic.ssthresh]).toEqual([plain.cubic.cwnd, plain.cubic.ssthresh]);
    for (const sender of [plain, undone]) sender.runs(3000);
    expect(Math.abs(undone.window - plain.window)).toBeLessThan(1);
  });

  test('a spurious timeout, the same segment three times', () => {
    const sender = new Sender(100);
    const { cwnd, ssthresh } = sender.cubic;
    for (const again of [false, true, true]) sender.cubic.onTimeout(10_000, again);
    sender.cubic.undo();
    expect([sender.cubic.cwnd, sender.cubic.ssthresh]).toEqual([cwnd, ssthresh]);
  });

  test('without any loss there is nothing to take back', () => {
    const { cubic } = new Sender(100);
    cubic.undo();
    expect([cubic.cwnd, cubic.ssthresh]).toEqual([10_000, WIDEST]);
  });
});

describe('RFC 9438 4.2, 5.8: time in which the window held nobody back', () => {
  test('what was not used is not grown', () => {
    const sender = new Sender(100);
    sender.ack(MSS, 2000);
    expect(sender.window).toBe(10);
    sender.loses(100);
    sender.ack(MSS, 2000);
    expect(sender.window).toBe(70);
  });

  test('a minute of small requests is no minute of the curve', () => {
    const [busy, lazy] = [new Sender(200), new Sender(200)];
    for (const sender of [busy, lazy]) {
      sender.loses(500);
      sender.runs(2000);
    }
    for (let i = 0; i < 300; i++) {
      lazy.now += 200;
      lazy.ack(MSS, 5 * MSS);
    }
    for (const sender of [busy, lazy]) sender.runs(2000);
    expect(Math.abs(lazy.window - busy.window)).toBeLessThan(0.02 * busy.window);
  });

  test('nor is a pause shorter than an RTO, or one that nobody told of', () => {
    const [busy, lazy] = [new Sender(100), new Sender(100)];
    for (const sender of [busy, lazy]) {
      sender.loses(500);
      sender.runs(1000);
    }
    for (let i = 0; i < 100; i++) {
      // A whole window at once, half a second of nothing, the next.
      lazy.ack(lazy.cubic.cwnd);
      lazy.now += 600;
      busy.ack(busy.cubic.cwnd);
      busy.now += 100;
    }
    expect(Math.abs(lazy.window - busy.window)).toBeLessThan(0.03 * busy.window);
  });

  test('RFC 5681 4.1: after a pause the initial window; slow start as far as before, and the curve from there', () => {
    const sender = new Sender(100);
    sender.loses(500);
    sender.runs(1000);
    sender.now += 600_000;
    sender.cubic.onIdle();
    expect(sender.window).toBe(10);
    sender.runs(800);
    expect(sender.window).toBeGreaterThanOrEqual(350);
    // Flat again at W_max, cbrt(150 / 0.4) = 7.2 s later.
    sender.runs(7200);
    expect(Math.abs(sender.window - 500)).toBeLessThan(10);
  });

  test('RFC 9293 3.10.7.4: the ACKs of one turn, between which nothing could be sent, all count', () => {
    const sender = new Sender(100);
    for (let flight = 10_000; flight > 0; flight -= 1000) sender.ack(1000, flight);
    expect(sender.window).toBe(20);
  });
});

describe('the ends of the scale', () => {
  test('the window ends at 2^30', () => {
    const sender = new Sender(1000, 65_480);
    sender.loses(16_390);
    sender.now = 3_600_000;
    for (let i = 0; i < 200; i++) {
      sender.now += 100_000;
      sender.ack(sender.cubic.cwnd);
    }
    expect(sender.cubic.cwnd).toBe(WIDEST);
    sender.losesOne();
    expect(sender.cubic.cwnd).toBe(Math.floor(WIDEST * 0.7));
  });

  test('a clock that has run for a year', () => {
    const [young, old] = [new Sender(100), new Sender(100)];
    old.now = 366 * 86_400_000;
    for (const sender of [young, old]) {
      sender.loses(300);
      sender.runs(3000);
    }
    expect(old.cubic.cwnd).toBe(young.cubic.cwnd);
  });

  test('no round trip known, all at once, more than was out: whole numbers, never smaller', () => {
    const sender = new Sender(0);
    sender.loses(4);
    let before = sender.cubic.cwnd;
    for (const delivered of [1, 0, 1_000_000, 7, 999]) {
      sender.ack(delivered);
      expect(Number.isInteger(sender.cubic.cwnd)).toBe(true);
      expect(sender.cubic.cwnd).toBeGreaterThanOrEqual(before);
      before = sender.cubic.cwnd;
    }
  });

  test('another MSS in the middle of a curve changes no window by itself', () => {
    const sender = new Sender(100);
    sender.loses(300);
    sender.cubic.setMss(500);
    expect(sender.cubic.cwnd).toBe(210_000);
    sender.ack(500);
    expect(sender.cubic.cwnd).toBeLessThan(211_000);
  });
});
