import { expect, test } from 'vitest';
import { Arena } from '../../src/base/arena.ts';
import { DropCounters } from '../../src/base/drop.ts';
import { ManualClock } from '../../src/base/manual-clock.ts';
import { createMemory } from '../../src/base/memory.ts';
import { Timers } from '../../src/base/timers.ts';
import { Turn } from '../../src/base/turn.ts';
import { Addresses } from '../../src/ip/addresses.ts';
import { type Neighbour, Neighbours } from '../../src/ip/neighbours.ts';
import { parseConfig } from '../../src/network/config.ts';

const GUEST = 0x0a00020f;

/** `room`: how many of the requests the one port takes. */
function bench(room: number) {
  const clock = new ManualClock();
  const arena = new Arena(createMemory(8 << 20, (buffer) => new Uint8Array(buffer)));
  const timers = new Timers(clock, new Turn(clock));
  const drops = new DropCounters();
  const at = arena.take(4096, arena.scratchAccount);
  let asked = 0;
  const port = {
    ...{ id: 1, account: arena.scratchAccount },
    reserve: () => (asked < room ? at : -1),
    commit: () => void asked++,
  };
  const ports = { port: () => port, allPorts: () => [port] };
  const neighbours = new Neighbours(arena, timers, drops, new Addresses(parseConfig({})), ports, 2);
  const found: (Neighbour | null)[] = [];
  const find = (): void => neighbours.find(GUEST, clock.now(), (neighbour) => found.push(neighbour));
  return { clock, timers, drops, neighbours, found, find, asked: () => asked };
}

test('RFC 1122 2.3.2.2: asked for three times in a second, then nobody is there', () => {
  const b = bench(3);
  b.find();
  b.find();
  b.clock.advance(998);
  expect([b.asked(), b.found]).toEqual([3, []]);
  b.clock.advance(2);
  expect(b.found).toEqual([null, null]);
  expect(b.drops.lossSnapshot()).toEqual({ NeighbourUnknown: 1 });
  expect(b.timers.armed).toBe(0);
});

test('who answers is told to all who wait, and known from then on', () => {
  const b = bench(3);
  b.find();
  b.neighbours.learn(GUEST, 0x5254, 0x123456, 1);
  b.find();
  const guest = { mac: { hi: 0x5254, lo: 0x123456 }, ingress: 1 };
  expect(b.found).toEqual([guest, guest]);
  expect(b.timers.armed).toBe(0);
});

test('a request that a full link does not take is counted', () => {
  const b = bench(1);
  b.find();
  b.clock.advance(1000);
  expect(b.drops.lossSnapshot()).toEqual({ LinkQueueFull: 2, NeighbourUnknown: 1 });
});
