import { describe, expect, test } from 'vitest';
import { ManualClock } from '../../src/base/manual-clock.ts';
import { ALONE_AFTER, ALONE_WORK, Budget, Sharing, TURN_WORK, Turn } from '../../src/base/turn.ts';

function setup() {
  const clock = new ManualClock();
  const turn = new Turn(clock);
  const log: string[] = [];
  const egress = (name: string, then: () => void = () => {}) => ({
    runEgress(now: number): void {
      log.push(`${name}@${now}`);
      then();
    },
  });
  const link = (name: string, then: () => void = () => {}) => ({
    flush(): void {
      log.push(name);
      then();
    },
  });
  return { clock, turn, log, egress, link };
}

test('ingress, then each flow once, then each link once, all at the same now', () => {
  const { clock, turn, log, egress, link } = setup();
  const a = egress('a');
  const l = link('l');
  clock.advance(7);
  turn.run(() => {
    turn.wantFlush(l);
    turn.wantEgress(a);
    turn.wantEgress(egress('b'));
    turn.wantEgress(a);
    turn.wantFlush(l);
    log.push(`ingress@${turn.now}`);
  });
  expect(log).toEqual(['ingress@7', 'a@7', 'b@7', 'l']);
  turn.run(() => log.push('next'));
  expect(log.slice(4)).toEqual(['next']);
});

test('a link marked while flows send is flushed in the same turn', () => {
  const { clock, turn, log, egress, link } = setup();
  turn.run(() => turn.wantEgress(egress('a', () => turn.wantFlush(link('l')))));
  expect(log).toEqual(['a@0', 'l']);
  expect(clock.soonCount).toBe(0);
});

test('run() hands over what it was given, also where that waits for a turn of its own', () => {
  const { clock, turn, log, link } = setup();
  const note = (text: string): unknown => log.push(text);
  turn.run(note, 'at once');
  turn.run(() => turn.run(note, 'joined'));
  turn.run(() => turn.wantFlush(link('l', () => turn.run(note, 'later'))));
  expect(log).toEqual(['at once', 'joined', 'l']);
  clock.runSoon();
  expect(log).toEqual(['at once', 'joined', 'l', 'later']);
});

describe('what comes too late for its phase', () => {
  test('a flow marked while flows send has its turn next, by itself', () => {
    const { clock, turn, log, egress } = setup();
    let rounds = 0;
    const a = egress('a', () => {
      rounds++;
      if (rounds < 3) turn.wantEgress(a);
    });
    turn.run(() => turn.wantEgress(a));
    expect(log).toEqual(['a@0']);
    clock.runSoon();
    expect(log).toEqual(['a@0', 'a@0', 'a@0']);
    expect(clock.soonCount).toBe(0);
  });

  test('marks from flush wait for the next turn', () => {
    const { clock, turn, log, egress, link } = setup();
    const again = link('again');
    const l = link('l', () => {
      turn.wantEgress(egress('a'));
      turn.wantFlush(again);
    });
    turn.run(() => turn.wantFlush(l));
    expect(log).toEqual(['l']);
    clock.runSoon();
    expect(log).toEqual(['l', 'a@0', 'again']);
  });

  test('marks made outside of any turn get one', () => {
    const { clock, turn, log, egress, link } = setup();
    turn.wantEgress(egress('a'));
    turn.wantFlush(link('l'));
    expect(log).toEqual([]);
    expect(clock.soonCount).toBe(1);
    clock.runSoon();
    expect(log).toEqual(['a@0', 'l']);
  });
});

describe('nested calls', () => {
  test('inside ingress they join it', () => {
    const { turn, log, egress } = setup();
    turn.run(() => {
      turn.run(() => {
        log.push('inner');
        turn.wantEgress(egress('a'));
      });
      log.push('outer');
    });
    expect(log).toEqual(['inner', 'outer', 'a@0']);
  });

  test('past ingress they wait for a turn of their own, in order', () => {
    const { clock, turn, log, egress, link } = setup();
    turn.run(() => {
      turn.wantEgress(egress('a', () => turn.run(() => log.push('first'))));
      turn.wantFlush(link('l', () => turn.run(() => log.push('second'))));
    });
    expect(log).toEqual(['a@0', 'l']);
    expect(clock.soonCount).toBe(1);
    clock.runSoon();
    expect(log).toEqual(['a@0', 'l', 'first', 'second']);
  });
});

describe('a throw', () => {
  const bug = (): never => {
    throw new Error('bug');
  };

  test.each(['ingress', 'egress', 'flush'])('in %s leaves run(), and the turn is usable again', (phase) => {
    const { clock, turn, log, egress, link } = setup();
    const run = (): void =>
      turn.run(() => {
        turn.wantEgress(egress('a', phase === 'egress' ? bug : undefined));
        turn.wantEgress(egress('b'));
        turn.wantFlush(link('l', phase === 'flush' ? bug : undefined));
        turn.wantFlush(link('m'));
        if (phase === 'ingress') bug();
      });
    expect(run).toThrow('bug');
    log.length = 0;
    clock.runSoon();
    turn.run(() => turn.wantEgress(egress('c')));
    expect(log).toEqual(['c@0']);
  });

  test('in a call that had to wait does not lose the ones behind it', () => {
    const { clock, turn, log, egress } = setup();
    const calls = [() => log.push('first'), bug, () => log.push('third'), () => log.push('fourth')];
    turn.run(() => {
      turn.wantEgress(
        egress('a', () => {
          for (const call of calls) turn.run(call);
        }),
      );
    });
    expect(() => clock.runSoon()).toThrow('bug');
    expect(log).toEqual(['a@0', 'first']);
    clock.runSoon();
    expect(log).toEqual(['a@0', 'first', 'third', 'fourth']);
  });
});

describe('the budget of a link', () => {
  /** Frames that one turn has for `budget`; the first of them does `extra` more. */
  const framesOf = (turn: Turn, budget: Budget, extra = 0): number => {
    let frames = 0;
    turn.run(() => {
      budget.begin();
      while (frames < 1000 && budget.takeFrame()) {
        if (frames++ === 0) turn.spend(extra);
      }
      budget.end();
    });
    return frames;
  };

  /** A turn, a budget, and somebody else who has one. */
  function shared() {
    const { turn } = setup();
    const other = new Budget(turn);
    return { turn, budget: new Budget(turn), other };
  }

  test('is a turn of frames, each turn anew', () => {
    const { turn, budget } = shared();
    expect([framesOf(turn, budget), framesOf(turn, budget)]).toEqual([TURN_WORK, TURN_WORK]);
  });

  test('what a frame does beyond is taken off the turns that follow', () => {
    const { turn, budget } = shared();
    expect(framesOf(turn, budget, 3 * TURN_WORK)).toBe(1);
    expect(budget.isOverdrawn).toBe(true);
    expect([framesOf(turn, budget), framesOf(turn, budget)]).toEqual([0, 0]);
    expect(budget.isOverdrawn).toBe(false);
    // The one unit of the frame itself.
    expect(framesOf(turn, budget)).toBe(TURN_WORK - 1);
  });

  test("is a link's own: what others spend in their turns is nothing to it", () => {
    const { turn, budget, other } = shared();
    turn.run(() => turn.spend(10 * TURN_WORK));
    framesOf(turn, other, 10 * TURN_WORK);
    expect(framesOf(turn, budget)).toBe(TURN_WORK);
  });

  /** So many turns of a link that nobody else has had one in between of, and then what one has for it. */
  function afterAlone(turns: number, turn: Turn, budget: Budget): number {
    for (let i = 0; i < turns; i++) framesOf(turn, budget);
    return framesOf(turn, budget);
  }

  test('is larger for a link that has been alone for long, and small again at once when another one wakes up', () => {
    const { turn, budget, other } = shared();
    expect(framesOf(turn, other)).toBe(TURN_WORK);
    expect(afterAlone(ALONE_AFTER - 1, turn, budget)).toBe(TURN_WORK);
    expect(afterAlone(1, turn, budget)).toBe(ALONE_WORK);
    expect(framesOf(turn, other)).toBe(TURN_WORK);
    expect(framesOf(turn, budget)).toBe(TURN_WORK);
  });

  test('is not larger while a link of another network on the thread has turns', () => {
    const thread = new Sharing();
    const { turn } = setup();
    const { turn: another } = setup();
    const here = new Budget(turn, thread);
    const there = new Budget(another, thread);
    for (let i = 0; i < 2 * ALONE_AFTER; i++) {
      expect([framesOf(turn, here), framesOf(another, there)]).toEqual([TURN_WORK, TURN_WORK]);
    }
    expect(afterAlone(ALONE_AFTER, another, there)).toBe(ALONE_WORK);
  });
});
