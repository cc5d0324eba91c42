import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Arena } from '../../src/base/arena.ts';
import { Drop, DropCounters, Loss } from '../../src/base/drop.ts';
import { ManualClock } from '../../src/base/manual-clock.ts';
import { createMemory } from '../../src/base/memory.ts';
import { Timers } from '../../src/base/timers.ts';
import { Turn } from '../../src/base/turn.ts';
import { Packet } from '../../src/ip/packet.ts';
import { Reassembly } from '../../src/ip/reassembly.ts';
import * as ipv4 from '../../src/wire/ipv4.ts';
import { SeededRandom } from '../support/seeded-random.ts';

const ARENA = 8 * 1024 * 1024;

/** Fragments on their way in: a frame buffer in the arena, the reassembly, the clock. */
function bench() {
  const clock = new ManualClock();
  const turn = new Turn(clock);
  const arena = new Arena(createMemory(ARENA, (buffer) => new Uint8Array(buffer)));
  const timers = new Timers(clock, turn);
  const drops = new DropCounters();
  const reassembly = new Reassembly(arena, timers, drops);
  const frame = arena.take(65536, arena.scratchAccount);
  const baseline = arena.used;
  const p = new Packet();
  /** Hands in payload[from, to) of datagram `id`; what add() says. */
  const add = (
    payload: Uint8Array,
    from: number,
    to: number,
    options: { id?: number; last?: boolean; ingress?: number } = {},
  ) => {
    const v = arena.memory.view;
    const more = !(options.last ?? to === payload.length);
    ipv4.writeAsFragment(v, frame, to - from, options.id ?? 7, 17, 0x0a00020f, 0x01010101, from, more);
    arena.memory.bytes.set(payload.subarray(from, to), frame + 20);
    p.ingress = options.ingress ?? 1;
    p.src = 0x0a00020f;
    p.dst = 0x01010101;
    p.proto = 17;
    p.ip = frame;
    p.l4 = frame + 20;
    p.end = frame + 20 + to - from;
    return reassembly.add(p, clock.now());
  };
  const result = () => arena.memory.bytes.slice(p.l4, p.end);
  return { clock, arena, timers, drops, reassembly, add, p, result, baseline };
}

const bytes = (length: number, seed = 1): Uint8Array => {
  const random = new SeededRandom(seed);
  return Uint8Array.from({ length }, () => random.word() & 255);
};

describe('IPv4 reassembly, RFC 791 3.2', () => {
  test('fragments in any order, with duplicates, make the datagram', () => {
    const b = bench();
    const payload = bytes(4008);
    expect(b.add(payload, 2960, 4008)).toBe(Drop.None);
    expect(b.add(payload, 0, 1480)).toBe(Drop.None);
    expect(b.add(payload, 0, 1480)).toBe(Drop.None);
    expect(b.add(payload, 1480, 2960)).toBe('complete');
    expect(b.result()).toEqual(payload);
    expect(ipv4.headerLen(b.arena.memory.view, b.p.ip)).toBe(20);
    expect(b.drops.lost(Loss.FragmentOverlap)).toBe(1);
    b.reassembly.release();
    expect(b.arena.used).toBe(b.baseline);
    expect(b.timers.armed).toBe(0);
  });

  test('where fragments overlap, the bytes that came first stay', () => {
    const b = bench();
    const first = new Uint8Array(32).fill(1);
    const second = new Uint8Array(32).fill(2);
    expect(b.add(first, 8, 24, { last: false })).toBe(Drop.None);
    expect(b.add(second, 16, 32, { last: true })).toBe(Drop.None);
    expect(b.add(second, 0, 16, { last: false })).toBe('complete');
    expect([...b.result()]).toEqual([
      ...new Array(8).fill(2),
      ...new Array(16).fill(1),
      ...new Array(8).fill(2),
    ]);
  });

  test('any cut, any order, any repetition gives the same bytes', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 16, max: 65515 }),
        fc.array(fc.nat(8000), { maxLength: 12 }),
        fc.integer(),
        (length, cuts, seed) => {
          const b = bench();
          const payload = bytes(length, seed);
          const edges = [
            ...new Set([0, ...cuts.map((cut) => cut * 8).filter((cut) => cut < length), length]),
          ].sort((x, y) => x - y);
          if (edges.length < 3) return;
          const parts = edges.slice(1).map((to, i) => [edges[i]!, to] as const);
          const random = new SeededRandom(seed);
          const order = [...parts, ...parts.filter(() => random.below(3) === 0)]
            .map((part) => ({ part, at: random.word() }))
            .sort((x, y) => x.at - y.at)
            .map(({ part }) => part);
          let done = false;
          for (const [from, to] of order) {
            if (b.add(payload, from, to) !== 'complete') continue;
            done = true;
            expect(b.result()).toEqual(payload);
            break;
          }
          expect(done).toBe(true);
        },
      ),
      { numRuns: 20 },
    );
  });

  test('beyond 65535 bytes, an odd length in the middle, or two ends: refused', () => {
    const b = bench();
    const payload = bytes(65535);
    expect(b.add(payload, 65520 - 8, 65520, { last: true })).toBe(Drop.FragmentBad);
    expect(b.add(payload, 0, 12, { last: false })).toBe(Drop.FragmentBad);
    expect(b.add(payload, 8, 16, { last: true })).toBe(Drop.None);
    expect(b.add(payload, 16, 24, { last: true })).toBe(Drop.FragmentBad);
    expect(b.add(payload, 8, 16, { last: true, id: 8 })).toBe(Drop.None);
    expect(b.add(payload, 16, 24, { last: false, id: 8 })).toBe(Drop.FragmentBad);
    expect(b.reassembly.size).toBe(0);
  });

  test('a lone last fragment waits and is forgotten after 30 s', () => {
    const b = bench();
    expect(b.add(bytes(100), 8, 100)).toBe(Drop.None);
    b.clock.advance(29_000);
    expect(b.reassembly.size).toBe(1);
    b.clock.advance(2_000);
    expect(b.reassembly.size).toBe(0);
    expect(b.drops.lost(Loss.FragmentsExpired)).toBe(1);
    expect(b.arena.used).toBe(b.baseline);
    expect(b.timers.armed).toBe(0);
  });

  test('60 000 incomplete datagrams: bounded memory, and a whole one still gets through', () => {
    const b = bench();
    const payload = bytes(3000);
    for (let id = 0; id < 60_000; id++)
      b.add(payload, 1480, 2960, { id: id & 0xffff, last: false, ingress: 1 + (id % 5) });
    expect(b.reassembly.size).toBeLessThanOrEqual(64);
    expect(b.arena.used - b.baseline).toBeLessThanOrEqual(4 * 1024 * 1024);
    expect(b.add(payload, 0, 1480, { id: 9, ingress: 9 })).toBe(Drop.None);
    expect(b.add(payload, 1480, 3000, { id: 9, ingress: 9 })).toBe('complete');
    expect(b.result()).toEqual(payload);
  });

  test('one guest cannot push out what another is sending', () => {
    const b = bench();
    const payload = bytes(3000);
    b.add(payload, 0, 1480, { id: 1, ingress: 2 });
    for (let id = 0; id < 1000; id++) b.add(payload, 8, 16, { id, last: false, ingress: 1 });
    expect(b.add(payload, 1480, 3000, { id: 1, ingress: 2 })).toBe('complete');
  });

  test('a guest that holds all the bytes there are loses its oldest, and another gets its datagram', () => {
    const b = bench();
    const payload = bytes(65507);
    // Each grows to 128 KiB, and 4 MiB are there for all.
    for (let id = 0; id < 40; id++)
      expect(b.add(payload, 65496, 65504, { id, last: false, ingress: 1 })).toBe(Drop.None);
    expect(b.arena.used - b.baseline).toBeLessThanOrEqual(4 * 1024 * 1024);
    let verdict: unknown = Drop.None;
    for (let from = 0; from < payload.length; from += 1480)
      verdict = b.add(payload, from, Math.min(from + 1480, payload.length), { id: 1, ingress: 2 });
    expect(verdict).toBe('complete');
    expect(b.result()).toEqual(payload);
    expect(b.drops.lost(Loss.FragmentsExpired)).toBeGreaterThan(8);
    b.reassembly.clear();
    expect(b.arena.used).toBe(b.baseline);
  });

  test('every second unit only: the list of pieces is bounded', () => {
    const b = bench();
    const payload = bytes(65000);
    let refused = false;
    for (let at = 8; at < 60_000 && !refused; at += 16)
      refused = b.add(payload, at, at + 8, { last: false }) === Drop.FragmentBad;
    expect(refused).toBe(true);
    expect(b.reassembly.size).toBe(0);
  });
});
