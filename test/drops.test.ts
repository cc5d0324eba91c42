// Every reason why a frame stops, and every reason why something is lost later, provoked. A reason without an entry here
// fails: add it to src/base/drop.ts, then to support/provocations.ts, then to the code.

import { describe, expect, test } from 'vitest';
import { dropNames, lossNames } from '../src/base/drop.ts';
import type { NetworkStats } from '../src/network/stats.ts';
import { drops, frame, losses, type Provocation } from './support/provocations.ts';
import { dropsElsewhere, lossesElsewhere } from './support/provocations-elsewhere.ts';
import { ACK, arp, BROADCAST_MAC, echo, GATEWAY_MAC, ipv4, tcp, udp } from './support/raw-frames.ts';
import { RawBench } from './support/raw-guest.ts';

function total(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((a, b) => a + b, 0);
}

/** Counters that moved, by how much. */
function moved(before: Readonly<Record<string, number>>, after: Readonly<Record<string, number>>) {
  const names = new Set([...Object.keys(before), ...Object.keys(after)]);
  const entries = [...names].map((name) => [name, (after[name] ?? 0) - (before[name] ?? 0)] as const);
  return Object.fromEntries(entries.filter(([, n]) => n !== 0));
}

/** accepted + drops = frames in. */
function expectEveryFrameHasAVerdict(stats: NetworkStats): void {
  // A link that is gone and still sends is counted where it was when it went, so ask only for those that are up.
  const framesIn = stats.links.reduce((n, link) => n + link.framesIn, 0);
  expect(stats.accepted + total(stats.drops)).toBe(framesIn);
}

async function provoke({ config = {}, maxFrame = 1514, story }: Provocation) {
  const bench = new RawBench(config, maxFrame);
  const last = await story(bench);
  const before = bench.network.stats();
  last();
  return { bench, before, after: bench.network.stats() };
}

describe('every Drop is provoked by one frame', () => {
  test('and has an entry', () => {
    expect(Object.keys(drops).sort()).toEqual(dropNames.filter((name) => name !== 'None').sort());
  });

  test('None: what reaches its goal is accepted', async () => {
    const { before, after } = await provoke(frame(arp(1, '10.0.2.15', '10.0.2.2')));
    expect(after.accepted - before.accepted).toBe(1);
    expect(after.drops).toEqual({});
    expectEveryFrameHasAVerdict(after);
  });

  test.each(Object.entries(drops))('%s', async (name, provocation) => {
    const { before, after } = await provoke(provocation);
    expect(moved(before.drops, after.drops)).toEqual({ [name]: 1 });
    expect(after.accepted).toBe(before.accepted);
    if (name !== 'NetworkClosed') expectEveryFrameHasAVerdict(after);
  });
});

describe('every Loss is provoked', () => {
  test('and has an entry', () => {
    expect(Object.keys(losses).sort()).toEqual([...lossNames].sort());
  });

  test.each(Object.entries(losses))('%s', async (name, provocation) => {
    const { before, after } = await provoke(provocation);
    const change = moved(before.losses, after.losses);
    // Nobody found by ARP means that nobody is reached: the one loss is the other's reason.
    if (name === 'NeighbourUnknown' || name === 'ForwardUnreachable') {
      expect(change).toEqual({ NeighbourUnknown: 1, ForwardUnreachable: 1 });
    } else expect(change).toEqual({ [name]: 1 });
    expectEveryFrameHasAVerdict(after);
  });
});

describe('the same from other places', () => {
  test.each(dropsElsewhere)('%s: %s', async (name, _, provocation) => {
    const { before, after } = await provoke(provocation);
    expect(moved(before.drops, after.drops)).toEqual({ [name]: 1 });
    expectEveryFrameHasAVerdict(after);
  });

  test.each(lossesElsewhere)('%s: %s', async (name, _, provocation) => {
    const { before, after } = await provoke(provocation);
    expect(moved(before.losses, after.losses)).toEqual({ [name]: 1 });
    expectEveryFrameHasAVerdict(after);
  });
});

describe('what a drop answers', () => {
  test('RFC 9293 3.10.7.1: TcpNoFlow with a reset, unless it is one', () => {
    const bench = new RawBench();
    bench.sends(tcp({ flags: ACK, seq: 5, ack: 77 }));
    expect(bench.link.lastTcp).toMatchObject({ seq: 77, flags: 4 });
    const answered = bench.link.frames.length;
    bench.sends(tcp({ flags: 4, seq: 5 }), tcp({ flags: 4 | ACK, seq: 5, ack: 77 }));
    expect(bench.link.frames).toHaveLength(answered);
  });

  test('RFC 1122 3.2.2.1: an unknown protocol with ICMP 3/2', () => {
    const bench = new RawBench().sends(ipv4(Buffer.alloc(8), { proto: 132 }));
    expect(bench.link.frames.at(-1)?.subarray(34, 36)).toEqual(Buffer.from([3, 2]));
  });

  test('RFC 1122 3.2.2: no ICMP about what came to a group', () => {
    const bench = new RawBench();
    const group = { to: BROADCAST_MAC, dst: '255.255.255.255' };
    bench.sends(ipv4(Buffer.alloc(8), { ...group, proto: 132 }), udp('x', { ...group, dport: 9 }));
    bench.sends(echo(), echo({ dst: '198.51.100.1' }));
    expect(bench.link.frames).toEqual([]);
  });

  test("the gateway's MAC is nobody else's source", () => {
    const bench = new RawBench().sends(arp(1, '10.0.2.15', '10.0.2.2', { from: GATEWAY_MAC }));
    expect(bench.network.stats().drops).toEqual({ EthernetBadSource: 1 });
  });
});
