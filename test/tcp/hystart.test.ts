import { describe, expect, test } from 'vitest';
import { Cubic } from '../../src/tcp/cubic.ts';
import { HyStart } from '../../src/tcp/hystart.ts';
import { SeededRandom } from '../support/seeded-random.ts';

const MSS = 1000;

/** Slow start with rounds of `segments`, one ACK each. */
class Trace {
  readonly hystart = new HyStart();
  /** True once slow start is over. */
  over = false;

  /** A round with these round trips, one per segment. */
  round(rtts: readonly number[]): void {
    const flight = rtts.length * MSS;
    for (const rtt of rtts) this.ack(rtt, flight);
  }

  /** `flight` is what the sender keeps outstanding. */
  ack(rtt: number, flight: number): void {
    this.over ||= this.hystart.onAck({ now: 0, delivered: MSS, flight, rtt, srtt: rtt });
  }

  /** Conservative: a quarter of the pace. */
  get conservative(): boolean {
    return this.hystart.growth(4 * MSS) === MSS;
  }
}

function times(count: number, rtt: number): number[] {
  return new Array(count).fill(rtt);
}

describe('RFC 9406 4.2', () => {
  test('an ACK adds what it acknowledges, a quarter of it when conservative', () => {
    const t = new Trace();
    expect(t.hystart.growth(40 * MSS)).toBe(40 * MSS);
    t.round(times(10, 20));
    t.round(times(10, 40));
    expect(t.hystart.growth(40 * MSS)).toBe(10 * MSS);
  });

  test('a round trip longer by the threshold begins Conservative Slow Start, five rounds of it end slow start', () => {
    const t = new Trace();
    t.round(times(10, 20));
    t.round(times(20, 23));
    expect(t.conservative).toBe(false);
    t.round(times(20, 27));
    expect(t.conservative).toBe(true);
    // The round in which it began is the first of the five.
    for (let i = 0; i < 3; i++) t.round(times(20, 30));
    expect(t.over).toBe(false);
    t.round(times(20, 30));
    expect(t.over).toBe(true);
  });

  test('a round trip shorter than the one it began with was jitter: slow start again', () => {
    const t = new Trace();
    t.round(times(10, 20));
    t.round(times(10, 30));
    expect(t.conservative).toBe(true);
    t.round(times(10, 29));
    expect(t.conservative).toBe(false);
    for (let i = 0; i < 20; i++) t.round(times(10, 29));
    expect(t.over).toBe(false);
  });

  test('the eighth sample of a round is the first that counts', () => {
    const t = new Trace();
    t.round(times(10, 20));
    for (let i = 0; i < 7; i++) t.ack(40, 20_000);
    expect(t.conservative).toBe(false);
    t.ack(40, 20_000);
    expect(t.conservative).toBe(true);
  });

  test('the least of a round counts: one short round trip is enough', () => {
    const t = new Trace();
    t.round(times(10, 20));
    t.round([20, ...times(19, 90)]);
    expect(t.conservative).toBe(false);
  });

  test('ACKs without a round trip are no samples', () => {
    const t = new Trace();
    t.round(times(10, 20));
    t.round([...times(13, -1), ...times(7, 80)]);
    expect(t.conservative).toBe(false);
    for (let i = 0; i < 20; i++) t.round(times(20, -1));
    expect(t.over).toBe(false);
  });

  test.each([
    // [last round, threshold]: an eighth, at least 4 ms, at most 16 ms.
    [0, 4],
    [8, 4],
    [32, 4],
    [80, 10],
    [128, 16],
    [800, 16],
  ])('4.3: at %i ms the threshold is %i ms', (rtt, threshold) => {
    const below = new Trace();
    below.round(times(10, rtt));
    below.round(times(10, rtt + threshold - 1));
    expect(below.conservative).toBe(false);
    const at = new Trace();
    at.round(times(10, rtt));
    at.round(times(10, rtt + threshold));
    expect(at.conservative).toBe(true);
  });
});

test('a guest at 0 to 2 ms with jitter never looks like a queue', () => {
  const random = new SeededRandom(3);
  const t = new Trace();
  for (let i = 0; i < 500; i++) t.round(Array.from({ length: 10 + random.below(50) }, () => random.below(4)));
  expect(t.conservative).toBe(false);
  expect(t.over).toBe(false);
});

test('a guest whose whole round waited once for its turn: conservative for a round, not for ever', () => {
  const t = new Trace();
  t.round(times(20, 1));
  t.round(times(20, 12));
  expect(t.conservative).toBe(true);
  t.round(times(20, 1));
  expect(t.conservative).toBe(false);
  expect(t.over).toBe(false);
});

describe('in CUBIC', () => {
  function cubic(): Cubic {
    const made = new Cubic();
    made.setMss(MSS);
    return made;
  }

  /** A round of a full window. */
  function round(of: Cubic, now: number, rtt: number): void {
    const flight = of.cwnd;
    for (let i = 0; i < Math.floor(flight / MSS); i++)
      of.onAck({ now, delivered: MSS, flight: of.cwnd, rtt, srtt: rtt });
  }

  test('RFC 9438 4.10: slow start that ends without a loss leaves a flat curve at the window it came to', () => {
    const c = cubic();
    let now = 0;
    for (let rtt = 40; c.cwnd < c.ssthresh && now < 5000; rtt = Math.min(rtt + 10, 100)) {
      round(c, now, rtt);
      now += rtt;
    }
    expect(c.ssthresh).toBeLessThan(2 ** 30);
    const { cwnd } = c;
    // What is left of the round it ended in is congestion avoidance already.
    expect(cwnd - c.ssthresh).toBeLessThan(MSS);
    round(c, now, 100);
    // cwnd_prior is cwnd: NewReno's one segment.
    expect(Math.abs(c.cwnd - cwnd - MSS)).toBeLessThan(0.1 * MSS);
  });

  test('RFC 9406 4.3: once ssthresh is known, plain slow start', () => {
    const c = cubic();
    c.onTimeout(100_000, false);
    c.onAck({ now: 1, delivered: 40_000, flight: 40_000, rtt: 10, srtt: 10 });
    expect(c.cwnd).toBe(41_000);
  });

  test('a pause forgets the round trips before it', () => {
    const c = cubic();
    round(c, 0, 10);
    c.onIdle();
    round(c, 60_000, 90);
    const { cwnd } = c;
    c.onAck({ now: 60_001, delivered: 4000, flight: cwnd, rtt: 90, srtt: 90 });
    expect(c.cwnd).toBe(cwnd + 4000);
  });
});
