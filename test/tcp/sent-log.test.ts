// The log against one that is written down plainly, and what its questions may cost.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Sent, SentLog } from '../../src/tcp/sent-log.ts';

/** Near the wrap. */
const START = 0x7fffff00 | 0;

interface Plain {
  end: number;
  flags: number;
  order: number;
}

class Model {
  readonly log = new SentLog();
  records: Plain[] = [];
  private sendings = 0;
  private next = START;

  constructor() {
    this.log.clear(START);
  }

  push(len: number): void {
    this.next = (this.next + len) | 0;
    this.log.push(this.next, 0, false);
    this.records.push({ end: this.next, flags: 0, order: ++this.sendings });
  }

  pushTrain(len: number, count: number): void {
    this.log.pushTrain(len, count, 0);
    for (let i = 0; i < count; i++) {
      this.next = (this.next + len) | 0;
      this.records.push({ end: this.next, flags: 0, order: ++this.sendings });
    }
  }

  /** Up to `count` records from `i` on, in one segment. */
  resend(i: number, count: number): void {
    const records = this.records.slice(i, i + count);
    if (records.length === 0) return;
    this.log.resend(i, records.length, 0);
    const order = ++this.sendings;
    for (const record of records) {
      if (record.flags & Sent.Sacked) continue;
      record.flags = Sent.Resent;
      record.order = order;
    }
  }

  sack(i: number): void {
    const record = this.records[i];
    if (record === undefined) return;
    expect(this.log.markSacked(i)).toBe((record.flags & Sent.Sacked) === 0);
    record.flags = (record.flags & ~Sent.Lost) | Sent.Sacked;
  }

  lose(i: number): void {
    const record = this.records[i];
    if (record === undefined || record.flags & (Sent.Sacked | Sent.Lost)) return;
    this.log.markLost(i);
    record.flags |= Sent.Lost;
  }

  loseAll(forget: boolean): void {
    this.log.markAllLost(forget);
    for (const record of this.records) {
      if (forget) record.flags &= ~Sent.Sacked;
      if ((record.flags & Sent.Sacked) === 0) record.flags |= Sent.Lost;
    }
  }

  unmark(): void {
    this.log.unmarkLost();
    for (const record of this.records) record.flags &= ~Sent.Lost;
  }

  shift(): void {
    if (this.records.length === 0) return;
    this.log.shift();
    this.records.shift();
  }

  /** The first `n` are acknowledged: at once where that may be, as input-ack.ts does it. */
  acknowledge(n: number): void {
    const { log, records } = this;
    const count = Math.min(n, records.length);
    if (count === 0) return;
    const isPlain = records.every(({ flags }) => flags === 0);
    if (isPlain) log.shiftInOrder(count);
    for (let i = 0; i < count; i++) {
      if (!isPlain) log.shift();
      records.shift();
    }
  }

  /** How many end at a number or before, for each that is near a record's. */
  checkCounts(): void {
    const { log, records } = this;
    if (records.length === 0) return;
    for (const { end } of records) {
      for (const seq of [end - 1, end, end + 1]) {
        const first = records.findIndex((record) => ((record.end - seq) | 0) > 0);
        expect(log.countTo(seq | 0)).toBe(first < 0 ? records.length : first);
      }
    }
    expect(log.countTo(log.start)).toBe(0);
  }

  /** What may go in one segment of 4000 bytes with the first that is lost. */
  private checkLost(lens: readonly number[]): void {
    const { log, records } = this;
    const first = log.firstLost();
    if (first < 0) return;
    let count = 0;
    for (let bytes = 0, i = first; i < records.length && records[i]!.flags & Sent.Lost; i++, count++) {
      bytes += lens[i]!;
      if (bytes > 4000 && count > 0) break;
    }
    expect(log.lostRun(first, 4000)).toBe(count);
  }

  check(): void {
    const { log, records } = this;
    const lens = records.map(({ end }, i) => (end - (i === 0 ? log.start : records[i - 1]!.end)) | 0);
    const sumOf = (flag: number): number =>
      records.reduce((sum, { flags }, i) => sum + (flags & flag ? lens[i]! : 0), 0);
    expect([log.sackedBytes, log.lostBytes]).toEqual([sumOf(Sent.Sacked), sumOf(Sent.Lost)]);
    expect(log.room).toBe(4096 - records.length);
    expect(log.count).toBe(records.length);
    const open = records.filter(({ flags }) => (flags & (Sent.Sacked | Sent.Lost)) === 0);
    const oldest = open.reduce<Plain | null>((a, b) => (a === null || b.order < a.order ? b : a), null);
    expect(log.oldestInFlight()).toBe(oldest === null ? -1 : records.indexOf(oldest));
    expect(log.firstLost()).toBe(records.findIndex(({ flags }) => flags & Sent.Lost));
    this.checkLost(lens);
    for (const [i, record] of records.entries()) {
      expect([log.end(i), log.order(i)]).toEqual([record.end, record.order]);
      expect(log.is(i, Sent.Sacked)).toBe((record.flags & Sent.Sacked) !== 0);
      const next = records.findIndex(({ flags }, at) => at >= i && (flags & Sent.Sacked) === 0);
      expect(log.firstUnsacked(i)).toBe(next < 0 ? records.length : next);
    }
  }
}

test('whatever is sent, sent again, arrives, is lost or was not: the lists are those of the records', () => {
  const index = fc.nat({ max: 60 });
  const step = fc.oneof(
    {
      weight: 4,
      arbitrary: fc.record({ do: fc.constant('push' as const), n: fc.integer({ min: 1, max: 3000 }) }),
    },
    { weight: 3, arbitrary: fc.record({ do: fc.constantFrom('resend', 'sack', 'lose'), n: index }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constantFrom('shift'), n: index }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constantFrom('loseAll', 'forget', 'unmark'), n: index }) },
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const model = new Model();
      for (const { do: what, n } of steps) {
        if (what === 'push') model.push(n);
        else if (what === 'resend') model.resend(n, 1 + (n % 4));
        else if (what === 'sack') model.sack(n);
        else if (what === 'lose') model.lose(n);
        else if (what === 'shift') model.shift();
        else if (what === 'unmark') model.unmark();
        else model.loseAll(what === 'forget');
      }
      model.check();
    }),
    { numRuns: 500 },
  );
});

test('trains: what is pushed and acknowledged at once is what it is one by one', () => {
  const n = fc.integer({ min: 0, max: 40 });
  const step = fc.oneof(
    {
      weight: 8,
      arbitrary: fc.record({ do: fc.constant('train' as const), n, len: fc.integer({ min: 1, max: 1460 }) }),
    },
    { weight: 12, arbitrary: fc.record({ do: fc.constant('acknowledge' as const), n, len: n }) },
    {
      weight: 1,
      arbitrary: fc.record({ do: fc.constantFrom('sack', 'lose', 'resend', 'unmark'), n, len: n }),
    },
  );
  let atOnce = 0;
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
      const model = new Model();
      const { log } = model;
      const { shiftInOrder } = log;
      log.shiftInOrder = (count) => {
        atOnce++;
        shiftInOrder.call(log, count);
      };
      for (const { do: what, n: count, len } of steps) {
        if (what === 'train') model.pushTrain(len, count);
        else if (what === 'acknowledge') model.acknowledge(count);
        else if (what === 'sack') model.sack(count);
        else if (what === 'lose') model.lose(count);
        else if (what === 'resend') model.resend(count, 1 + (len % 4));
        else model.unmark();
        model.check();
      }
      model.checkCounts();
    }),
    { numRuns: 200 },
  );
  expect(atOnce).toBeGreaterThan(100);
});

test('trains: a log that is full has no room, and has it again when they are acknowledged', () => {
  const model = new Model();
  model.pushTrain(1448, 4000);
  expect([model.log.room, model.log.isFull]).toEqual([96, false]);
  model.pushTrain(1448, 96);
  expect([model.log.room, model.log.isFull]).toEqual([0, true]);
  expect(model.log.countTo((START + 4096 * 1448) | 0)).toBe(4096);
  model.acknowledge(4095);
  model.pushTrain(7, 4095);
  model.acknowledge(4096);
  model.check();
  expect(model.log.oldestInFlight()).toBe(-1);
  model.push(100);
  model.check();
});

describe('what is said again and again is passed over', () => {
  /** Records that firstUnsacked() looks at. */
  function looks(log: SentLog, from: number): number {
    let count = 0;
    const { is } = log;
    log.is = (i, flag) => {
      count++;
      return is.call(log, i, flag);
    };
    log.firstUnsacked(from);
    log.is = is;
    return count;
  }

  test('a run of four thousand Sacked records takes a few steps from anywhere in it', () => {
    const model = new Model();
    for (let i = 0; i < 4000; i++) model.push(100);
    for (let i = 1; i < 4000; i++) model.sack(i);
    model.log.firstUnsacked(1);
    for (const from of [1, 2, 1999, 3998]) expect(looks(model.log, from)).toBeLessThanOrEqual(3);
  });

  test('a run that grows record by record, from either end', () => {
    const model = new Model();
    for (let i = 0; i < 4000; i++) model.push(100);
    let total = 0;
    for (let i = 2000; i < 4000; i++) {
      model.sack(i);
      total += looks(model.log, 2000);
    }
    for (let i = 1999; i > 0; i--) {
      model.sack(i);
      total += looks(model.log, i);
    }
    expect(total).toBeLessThan(5 * 4000);
  });
});
