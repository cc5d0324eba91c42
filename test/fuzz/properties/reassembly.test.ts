// Fragments, whatever they say: what is put together is what came first for each place, what is kept is within its
// limits, and nothing of it stays.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Arena } from '../../../src/base/arena.ts';
import { Drop, DropCounters } from '../../../src/base/drop.ts';
import { ManualClock } from '../../../src/base/manual-clock.ts';
import { createMemory } from '../../../src/base/memory.ts';
import { Timers } from '../../../src/base/timers.ts';
import { Turn } from '../../../src/base/turn.ts';
import { Packet } from '../../../src/ip/packet.ts';
import { Reassembly } from '../../../src/ip/reassembly.ts';
import * as ipv4 from '../../../src/wire/ipv4.ts';
import { ArenaWatch } from '../arena-watch.ts';

/** A fragment: of which datagram, from which guest, where, how long, are there more; then so much time passes. */
interface Piece {
  readonly id: number;
  readonly ingress: number;
  readonly unit: number;
  readonly len: number;
  readonly more: boolean;
  readonly wait: number;
}

const near = fc.record({
  id: fc.nat(1),
  ingress: fc.constantFrom(1, 2),
  unit: fc.nat(12),
  len: fc.oneof(
    fc.nat(12).map((n) => 8 * n),
    fc.nat(100),
  ),
  more: fc.boolean(),
  wait: fc.constantFrom(0, 0, 0, 0, 0, 100, 30_000),
});
const far = fc.record({
  id: fc.nat(100),
  ingress: fc.constantFrom(1, 2, 3),
  unit: fc.nat(8191),
  len: fc.oneof(
    fc.nat(186).map((n) => 8 * n),
    fc.nat(1480),
  ),
  more: fc.boolean(),
  wait: fc.constantFrom(0, 0, 0, 0, 0, 0, 0, 1000),
});

function bench(arenaBytes: number) {
  const clock = new ManualClock();
  const arena = new Arena(createMemory(arenaBytes, (buffer) => new Uint8Array(buffer), 'js'));
  const watch = new ArenaWatch(arena, 0);
  const timers = new Timers(clock, new Turn(clock));
  const reassembly = new Reassembly(arena, timers, new DropCounters());
  const frame = arena.take(4096, arena.scratchAccount);
  return { clock, arena, watch, timers, reassembly, frame, packet: new Packet(), ownBytes: arena.used };
}

type Bench = ReturnType<typeof bench>;

/** Hands in `piece`, every byte of it `value`. */
function add({ arena, reassembly, frame, packet: p, clock }: Bench, piece: Piece, value: number) {
  const { id, ingress, unit, len, more } = piece;
  ipv4.writeAsFragment(arena.memory.view, frame, len, id, 17, 0x0a00020f, 0x01010101, 8 * unit, more);
  arena.memory.bytes.fill(value, frame + 20, frame + 20 + len);
  Object.assign(p, { ingress, src: 0x0a00020f, dst: 0x01010101, proto: 17 });
  Object.assign(p, { ip: frame, l4: frame + 20, end: frame + 20 + len });
  return reassembly.add(p, clock.now());
}

function expectNothingLeft(b: Bench): void {
  b.reassembly.clear();
  expect(b.arena.used).toBe(b.ownBytes);
  expect(b.timers.armed).toBe(0);
  b.watch.check();
  b.watch.checkFree();
}

test('RFC 791 3.2: of a place that came twice, what came first stays, whatever the order', () => {
  fc.assert(
    fc.property(fc.array(near, { maxLength: 40 }), (pieces) => {
      const b = bench(1 << 20);
      /** By datagram: what was put where first. */
      const model = new Map<string, Map<number, number>>();
      for (const [i, piece] of pieces.entries()) {
        const key = `${piece.ingress} ${piece.id}`;
        const before = b.reassembly.size;
        const verdict = add(b, piece, i);
        if (verdict === 'complete') {
          const { l4, end } = b.packet;
          const places = placesOf(model, key);
          for (let at = 0; at < piece.len; at++)
            if (!places.has(8 * piece.unit + at)) places.set(8 * piece.unit + at, i);
          const is = [...b.arena.memory.bytes.subarray(l4, end)];
          expect(is).toEqual(is.map((_, at) => places.get(at)));
          model.delete(key);
          b.reassembly.release();
        } else if (verdict === Drop.None) {
          const places = placesOf(model, key);
          for (let at = 0; at < piece.len; at++)
            if (!places.has(8 * piece.unit + at)) places.set(8 * piece.unit + at, i);
        } else if (b.reassembly.size < before || !model.has(key)) model.delete(key);
        if (piece.wait > 0) {
          const sets = b.reassembly.size;
          b.clock.advance(piece.wait);
          // Whose time was up is not told: those that are left are the model's only when all are.
          if (b.reassembly.size !== sets) {
            b.reassembly.clear();
            model.clear();
          }
        }
      }
      expectNothingLeft(b);
    }),
    { numRuns: 400 },
  );
});

test('any fragments, of any datagrams: bounded, and nothing stays', () => {
  fc.assert(
    fc.property(fc.array(far, { minLength: 50, maxLength: 300 }), (pieces) => {
      const b = bench(8 << 20);
      for (const [i, piece] of pieces.entries()) {
        if (add(b, piece, i & 255) === 'complete') b.reassembly.release();
        expect(b.reassembly.size).toBeLessThanOrEqual(64);
        expect(b.arena.used - b.ownBytes).toBeLessThanOrEqual(4 << 20);
        if (piece.wait > 0) b.clock.advance(piece.wait);
        if (i % 50 === 49) b.reassembly.forgetPort(piece.ingress);
      }
      b.watch.check();
      b.clock.advance(31_000);
      expect(b.reassembly.size).toBe(0);
      expectNothingLeft(b);
    }),
    { numRuns: 60 },
  );
});

function placesOf(model: Map<string, Map<number, number>>, key: string): Map<number, number> {
  const places = model.get(key) ?? new Map<number, number>();
  model.set(key, places);
  return places;
}
