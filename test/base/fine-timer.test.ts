import { describe, expect, test } from 'vitest';
import { type Micros, NEVER } from '../../src/base/clock.ts';
import { FineTimer } from '../../src/base/fine-timer.ts';
import { ManualClock } from '../../src/base/manual-clock.ts';
import { Timers } from '../../src/base/timers.ts';
import { Turn } from '../../src/base/turn.ts';

/** Takes no hint, as Node's clock: whoever asks for `soon` is woken soon. */
class EagerClock extends ManualClock {
  override soon(wake: () => void): void {
    super.soon(wake);
  }
}

function bench(clock: ManualClock) {
  const turn = new Turn(clock);
  const timers = new Timers(clock, turn);
  const firedAt: Micros[] = [];
  const sent: Micros[] = [];
  const flow = { runEgress: () => sent.push(clock.micros()) };
  const timer = new FineTimer(timers, () => {
    firedAt.push(clock.micros());
    turn.wantEgress(flow);
  });
  return { clock, turn, timers, timer, firedAt, sent };
}

describe('a timer to the microsecond', () => {
  test.each([0, 1, 999, 1000, 1499, 1500, 2000, 12_345, 60_000_001])('%i us from now', (micros) => {
    const { clock, timer, firedAt, sent } = bench(new ManualClock());
    clock.advanceMicros(777);
    timer.arm(777 + micros);
    clock.advanceMicros(micros);
    clock.runSoon();
    expect(firedAt).toEqual([777 + micros]);
    // In the ingress of a turn: what it marks is sent in the same one.
    expect(sent).toEqual(firedAt);
    clock.advance(100);
    expect(firedAt.length).toBe(1);
  });

  test('what is long away waits for an alarm, only the end is asked for again and again', () => {
    const { clock, timers, timer } = bench(new ManualClock());
    timer.arm(10_000);
    expect([timers.armed, clock.soonCount]).toEqual([1, 0]);
    clock.advanceMicros(8999);
    expect([timers.armed, clock.soonCount]).toEqual([1, 0]);
    clock.advanceMicros(1);
    expect([timers.armed, clock.soonCount]).toEqual([0, 1]);
  });

  test('a clock that wakes too early is asked again, and nothing is called before its time', () => {
    const { clock, timer, firedAt } = bench(new EagerClock());
    timer.arm(500);
    clock.runSoon(20);
    expect([firedAt, clock.soonCount]).toEqual([[], 1]);
    clock.advanceMicros(499);
    clock.runSoon(20);
    expect(firedAt).toEqual([]);
    clock.advanceMicros(1);
    clock.runSoon(20);
    expect([firedAt, clock.soonCount]).toEqual([[500], 0]);
  });

  test('armed again it fires once, at the last time that it was told, be it earlier or later', () => {
    for (const times of [
      [900, 300],
      [300, 900],
      [5000, 300],
      [300, 5000],
      [700, 300, 900, 500],
    ]) {
      const { clock, timer, firedAt } = bench(new ManualClock());
      for (const at of times) timer.arm(at);
      clock.advance(10);
      expect(firedAt).toEqual([times.at(-1)]);
      expect(clock.soonCount).toBe(0);
    }
  });

  test.each([300, 5000])('disarmed it does not fire: %i us', (at) => {
    const { clock, timers, timer, firedAt } = bench(new ManualClock());
    timer.arm(at);
    timer.disarm();
    expect(timers.armed).toBe(0);
    clock.advance(10);
    expect(firedAt).toEqual([]);
    timer.arm(NEVER);
    clock.advance(10);
    expect(firedAt).toEqual([]);
  });
});
