import { describe, expect, test } from 'vitest';
import { Arena } from '../../src/base/arena.ts';
import { Drop, DropCounters, Loss } from '../../src/base/drop.ts';
import { ManualClock } from '../../src/base/manual-clock.ts';
import { createMemory } from '../../src/base/memory.ts';
import { Timers } from '../../src/base/timers.ts';
import { Turn } from '../../src/base/turn.ts';
import { Switch } from '../../src/switch/switch.ts';
import { RawLink } from '../support/raw-guest.ts';

const GATEWAY = '52550a000202';
const BROADCAST = 'ffffffffffff';
const A = '525400000001';
const B = '525400000002';
const C = '525400000003';

function frame(to: string, from: string, length = 60): Buffer {
  const out = Buffer.alloc(length);
  const mac = (text: string): number[] => (text.match(/../g) ?? []).map((byte) => Number.parseInt(byte, 16));
  out.set([...mac(to), ...mac(from), 0x08, 0x00]);
  for (let i = 14; i < length; i++) out[i] = i;
  return out;
}

function bench(macLimit = 16) {
  const clock = new ManualClock();
  const turn = new Turn(clock);
  const arena = new Arena(createMemory(8 * 1024 * 1024, (buffer) => new Uint8Array(buffer)));
  const drops = new DropCounters();
  const gateway: { verdict: Drop; frames: number } = { verdict: Drop.None, frames: 0 };
  const heard: string[] = [];
  const hub = new Switch(
    { arena, turn, clock, timers: new Timers(clock, turn), drops, macLimit },
    {
      owns: (hi, lo) => hi === 0x5255 && lo === 0x0a000202,
      endRun: () => {},
      onFrames: () => 0,
      onFrame: () => {
        gateway.frames++;
        return gateway.verdict;
      },
    },
    {
      onPortDown: (port, reason) => heard.push(`${port.link.name} down: ${reason}`),
      onPortWritable: (port) => heard.push(`${port.link.name} writable`),
    },
  );
  const plug = (name: string, maxFrame?: number) => {
    const link = new RawLink(name, maxFrame);
    return { link, port: hub.plug(link) };
  };
  return { clock, arena, drops, hub, gateway, heard, plug };
}

describe('switch', () => {
  test("what is for the gateway reaches only the gateway, whose verdict is the frame's", () => {
    const b = bench();
    const [a, other] = [b.plug('a'), b.plug('b')];
    b.gateway.verdict = Drop.IcmpByDesign;
    a.link.sends(frame(GATEWAY, A));
    expect(b.gateway.frames).toBe(1);
    expect(b.drops.dropped(Drop.IcmpByDesign)).toBe(1);
    expect(other.link.takes()).toEqual([]);
  });

  test('unknown unicast is flooded, known unicast goes to its port alone', () => {
    const b = bench();
    const [a, bb, c] = [b.plug('a'), b.plug('b'), b.plug('c')];
    a.link.sends(frame(B, A));
    expect([bb.link.takes().length, c.link.takes().length, a.link.takes().length]).toEqual([1, 1, 0]);
    bb.link.sends(frame(A, B));
    expect([a.link.takes().length, c.link.takes().length]).toEqual([1, 0]);
    a.link.sends(frame(B, A));
    expect([bb.link.takes().length, c.link.takes().length]).toEqual([1, 0]);
    expect(b.gateway.frames).toBe(0);
    expect(b.drops.accepted).toBe(3);
  });

  test('broadcast and multicast reach every other guest and the gateway', () => {
    const b = bench();
    const [a, bb] = [b.plug('a'), b.plug('b')];
    b.gateway.verdict = Drop.EthernetUnknownType;
    const sent = frame(BROADCAST, A, 100);
    a.link.sends(sent, frame('01005e0000fb', A));
    expect(bb.link.takes()[0]).toEqual(sent);
    expect(b.gateway.frames).toBe(2);
    // Delivered to somebody: not a drop, whatever the gateway makes of it.
    expect(b.drops.accepted).toBe(2);
  });

  test("a guest alone: the gateway's verdict on a group frame counts", () => {
    const b = bench();
    b.gateway.verdict = Drop.EthernetUnknownType;
    b.plug('a').link.sends(frame(BROADCAST, A));
    expect(b.drops.dropped(Drop.EthernetUnknownType)).toBe(1);
  });

  test("13 bytes, a group source and the gateway's own MAC as source are dropped by name", () => {
    const b = bench();
    const a = b.plug('a');
    a.link.sends(frame(GATEWAY, A).subarray(0, 13), frame(GATEWAY, BROADCAST), frame(BROADCAST, GATEWAY));
    expect(b.drops.dropSnapshot()).toEqual({ EthernetTooShort: 1, EthernetBadSource: 2 });
  });

  test('a guest that stopped reading loses its frames, the others none', () => {
    const b = bench();
    const [a, stuck, c] = [b.plug('a'), b.plug('stuck'), b.plug('c')];
    stuck.link.full = true;
    a.link.sends(frame(BROADCAST, A));
    expect(c.link.takes().length).toBe(1);
    expect(b.drops.lost(Loss.LinkQueueFull)).toBe(1);
    stuck.link.full = false;
    stuck.link.sends(frame(BROADCAST, B));
    stuck.link.full = true;
    a.link.sends(frame(B, A));
    expect(b.drops.dropped(Drop.LinkQueueFull)).toBe(1);
    stuck.link.hasRoom();
    expect(b.heard).toEqual(['stuck writable']);
  });

  test('frames shorter than 60 bytes arrive padded with zeros', () => {
    const b = bench();
    const [a, bb] = [b.plug('a'), b.plug('b')];
    b.arena.memory.bytes.fill(0xee, 4096);
    a.link.sends(frame(B, A, 20));
    const [got] = bb.link.takes();
    expect(got?.length).toBe(60);
    expect(got?.subarray(0, 20)).toEqual(frame(B, A, 20));
    expect(got?.subarray(20).every((byte) => byte === 0)).toBe(true);
  });

  test("longer than the other guest's link takes: dropped, nothing else happens", () => {
    const b = bench();
    const [a, small] = [b.plug('a', 9014), b.plug('small', 1514)];
    small.link.sends(frame(A, B));
    a.link.sends(frame(B, A, 2000));
    expect(b.drops.dropped(Drop.LinkFrameTooLong)).toBe(1);
    expect(small.link.takes()).toEqual([]);
  });

  test('a MAC is forgotten after 300 s and when its link goes down', () => {
    const b = bench();
    const [a, bb, c] = [b.plug('a'), b.plug('b'), b.plug('c')];
    bb.link.sends(frame(BROADCAST, B));
    b.clock.advance(301_000);
    c.link.takes();
    a.link.sends(frame(B, A));
    expect(c.link.takes().length).toBe(1);
    bb.link.sends(frame(BROADCAST, B));
    c.link.takes();
    bb.link.goesDown();
    expect(b.heard).toEqual(['b down: unplugged']);
    a.link.sends(frame(B, A));
    expect(c.link.takes().length).toBe(1);
  });

  test('a guest that makes up MACs is bounded, and only MACs go', () => {
    const b = bench(4);
    const [a, bb] = [b.plug('a'), b.plug('b')];
    for (let i = 0; i < 100; i++)
      a.link.sends(frame(GATEWAY, `5254000001${i.toString(16).padStart(2, '0')}`));
    expect(b.drops.lost(Loss.MacEvicted)).toBe(96);
    bb.link.sends(frame(GATEWAY, B));
    a.link.sends(frame(B, C));
    expect(bb.link.takes().length).toBe(1);
  });

  test('a frame from a port that is down is dropped by name', () => {
    const b = bench();
    const a = b.plug('a');
    b.hub.unplug(a.port, 'closed');
    a.link.sends(frame(BROADCAST, A));
    expect(b.drops.dropped(Drop.NetworkClosed)).toBe(1);
    expect(a.port.reserve(60)).toBe(-1);
  });
});
