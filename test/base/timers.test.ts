import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { NEVER } from '../../src/base/clock.ts';
import { ManualClock } from '../../src/base/manual-clock.ts';
import { Timer, Timers } from '../../src/base/timers.ts';
import { Turn } from '../../src/base/turn.ts';

function setup() {
  const clock = new ManualClock();
  const turn = new Turn(clock);
  const timers = new Timers(clock, turn);
  const fired: string[] = [];
  const timer = (name: string): Timer => new Timer((now) => fired.push(`${name}@${now}`));
  return { clock, turn, timers, fired, timer };
}

test('timers fire in the order of their times, on one alarm', () => {
  const { clock, timers, fired, timer } = setup();
  timers.arm(timer('c'), 30);
  timers.arm(timer('a'), 10);
  timers.arm(timer('b'), 20);
  expect(clock.nextAlarm).toBe(10);
  clock.advance(9);
  expect(fired).toEqual([]);
  clock.advance(100);
  expect(fired).toEqual(['a@10', 'b@20', 'c@30']);
  expect(clock.nextAlarm).toBe(NEVER);
  expect(timers.armed).toBe(0);
});

test('a timer in the past fires as soon as the alarm comes, in a turn', () => {
  const { clock, turn, timers, fired } = setup();
  clock.advance(50);
  timers.arm(new Timer((now) => fired.push(`${now} ${turn.now}`)), 10);
  clock.advance(0);
  expect(fired).toEqual(['50 50']);
});

test('armed later, it keeps its place and does not fire early', () => {
  const { clock, timers, fired, timer } = setup();
  const a = timer('a');
  timers.arm(a, 10);
  timers.arm(a, 25);
  timers.arm(timer('b'), 20);
  expect(a.at).toBe(25);
  expect(timers.armed).toBe(2);
  clock.advance(24);
  expect(fired).toEqual(['b@20']);
  clock.advance(1);
  expect(fired).toEqual(['b@20', 'a@25']);
});

test('armed earlier, it moves and so does the alarm', () => {
  const { clock, timers, fired, timer } = setup();
  const a = timer('a');
  timers.arm(timer('b'), 20);
  timers.arm(a, 40);
  timers.arm(a, 5);
  expect(clock.nextAlarm).toBe(5);
  clock.advance(30);
  expect(fired).toEqual(['a@5', 'b@20']);
});

test('armed later and then between, it fires at the last time given', () => {
  const { clock, timers, fired, timer } = setup();
  const a = timer('a');
  timers.arm(a, 10);
  timers.arm(a, 100);
  timers.arm(a, 50);
  clock.advance(200);
  expect(fired).toEqual(['a@50']);
});

test('disarmed, it does not fire; the last one takes the alarm along', () => {
  const { clock, timers, fired, timer } = setup();
  const a = timer('a');
  timers.arm(a, 10);
  timers.disarm(a);
  timers.disarm(a);
  expect([a.at, timers.armed, clock.nextAlarm]).toEqual([NEVER, 0, NEVER]);
  clock.advance(100);
  expect(fired).toEqual([]);
});

describe('inside fire', () => {
  test('another may be disarmed, also one that is due', () => {
    const { clock, timers, fired, timer } = setup();
    const b = timer('b');
    const c = timer('c');
    timers.arm(new Timer(() => timers.disarm(b)), 10);
    timers.arm(b, 10);
    timers.arm(c, 10);
    clock.advance(20);
    expect(fired).toEqual(['c@10']);
  });

  test('it may arm itself again, and others', () => {
    const { clock, timers, fired, timer } = setup();
    const b = timer('b');
    const a: Timer = new Timer((now) => {
      fired.push(`a@${now}`);
      if (now < 30) timers.arm(a, now + 10);
      timers.arm(b, now + 5);
    });
    timers.arm(a, 10);
    clock.advance(100);
    expect(fired).toEqual(['a@10', 'b@15', 'a@20', 'b@25', 'a@30', 'b@35']);
  });

  test('all may be cleared', () => {
    const { clock, timers, fired, timer } = setup();
    timers.arm(new Timer(() => timers.clear()), 10);
    timers.arm(timer('b'), 10);
    timers.arm(timer('c'), 20);
    clock.advance(100);
    expect(fired).toEqual([]);
    expect(clock.nextAlarm).toBe(NEVER);
    const d = timer('d');
    timers.arm(d, 150);
    clock.advance(100);
    expect(fired).toEqual(['d@150']);
  });

  test('after a throw the rest still fires', () => {
    const { clock, timers, fired, timer } = setup();
    timers.arm(
      new Timer(() => {
        throw new Error('bug');
      }),
      10,
    );
    timers.arm(timer('b'), 10);
    timers.arm(timer('c'), 20);
    expect(() => clock.advance(15)).toThrow('bug');
    clock.advance(15);
    expect(fired).toEqual(['b@10', 'c@20']);
  });
});

test('any sequence of arming, disarming and waiting fires what a list would', () => {
  const step = fc.record({ who: fc.nat(7), at: fc.option(fc.nat(60)), wait: fc.nat(12) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
      const { clock, timers } = setup();
      const model = new Map<number, number>();
      const due: string[] = [];
      const fired: string[] = [];
      const all = Array.from({ length: 8 }, (_, i) => new Timer((now) => fired.push(`${i}@${now}`)));
      for (const { who, at, wait } of steps) {
        const deadline = at === null ? NEVER : clock.now() + 1 + at;
        timers.arm(all[who]!, deadline);
        model.set(who, deadline);
        clock.advance(wait);
        for (const [i, when] of model) {
          if (when > clock.now()) continue;
          due.push(`${i}@${when}`);
          model.set(i, NEVER);
        }
        expect(timers.armed).toBe([...model.values()].filter((when) => when !== NEVER).length);
      }
      expect([...fired].sort()).toEqual([...due].sort());
      const times = fired.map((text) => Number(text.split('@')[1]));
      expect(times).toEqual([...times].sort((a, b) => a - b));
    }),
    { numRuns: 300 },
  );
});
