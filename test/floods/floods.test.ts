// One guest floods, in every way of kinds.ts; a second one, on another link, does its work meanwhile. Memory is bounded,
// counters say what became of the flood, and the second guest does not notice: it has as many bytes in as many passes
// of the event loop, its questions are answered as soon, and nothing that is kept for it is given up. That a pass does not
// take long is what test/e2e/floods.test.ts measures.

import { beforeAll, describe, expect, test } from 'vitest';
import { TURN_WORK, Work } from '../../src/base/turn.ts';
import type { NetworkConfig } from '../../src/network/config.ts';
import type { NetworkStats } from '../../src/network/stats.ts';
import { heapInUse } from '../support/heap.ts';
import { FloodBench } from './bench.ts';
import { FLOODS } from './kinds.ts';

const MIB = 1 << 20;
const MOVED = 2 * MIB;
/** Turns of full frames for it, where a guest is not alone. */
const FULL_TURNS = Math.ceil(MOVED / (TURN_WORK * 1460));
/** Passes of a flood before the other guest's are counted. */
const WARM_UP = 800;
/** Small enough to be reached here; each is a row of a table that a flood may fill. */
const LIMITS = { tcpFlows: 64, udpFlows: 32, pendingConnects: 16, macs: 64, leases: 128 };
const CONFIG: NetworkConfig = { dhcp: { leaseSeconds: 60 }, limits: LIMITS };
/** Passes that a slow start takes. */
const SLOW_START = 8;
/** Name queries under way, of one guest: src/services/dns-relay.ts. */
const NAME_QUERIES = 128;
/** Fragments that wait: src/ip/reassembly.ts. */
const FRAGMENT_BYTES = 4 * MIB;
/** The well-behaved guest's: two connections, one UDP port. */
const OWN = { tcp: 2, udp: 1 };

interface Work4 {
  readonly up: number;
  readonly down: number;
  readonly echo: number;
  readonly name: number;
}

function work(bench: FloodBench): Work4 {
  return {
    up: bench.moves('up', MOVED),
    down: bench.moves('down', MOVED),
    echo: bench.asks('echo'),
    name: bench.asks('name'),
  };
}

let alone: Work4;
let aloneComes: number;
beforeAll(async () => {
  const bench = await new FloodBench(CONFIG).start();
  alone = work(bench);
  aloneComes = bench.comes();
});

/** Passes in which the flood does what it can, and the other guest little: it is there, so the flood is not alone. */
function warmUp(bench: FloodBench): number {
  let passes = 0;
  while (passes < WARM_UP) {
    bench.passes(20);
    passes += 20 + bench.asks('echo');
  }
  return passes;
}

describe.each(Object.entries(FLOODS))('%s', (_, { frames, counts, claimsAll = false }) => {
  test('memory is bounded, and another guest does not notice', async () => {
    const bench = await new FloodBench(CONFIG).start();
    const { network, flooder } = bench;
    const before = network.stats();
    flooder.flood = frames;
    const passes = warmUp(bench);
    expect(workFor(before, network.stats())).toBeLessThanOrEqual(passes * TURN_WORK + Work.HostSocket);
    const flooded = work(bench);
    // Half would do. What it shares with the flood is its own link, where that carries frames of the other guest.
    expect(flooded.up).toBeLessThanOrEqual(FULL_TURNS + 1);
    expect(flooded.down).toBeLessThanOrEqual(alone.down * 1.2);
    expect([flooded.echo, flooded.name]).toEqual([alone.echo, alone.name]);
    // T1 of its lease is 30 s: by now it is renewed.
    bench.passes(230, 200_000);
    expect(bench.leaseSeconds).toBeGreaterThan(40);
    expect(bench.isKnown).toBe(true);

    const during = network.stats();
    expectBounded(bench, before, during);
    expect(Object.keys({ ...during.drops, ...during.losses })).toEqual(expect.arrayContaining([...counts]));
    const dropped = Object.values(during.drops).reduce((a, b) => a + b, 0);
    expect(during.accepted + dropped).toBe(during.links.reduce((n, link) => n + link.framesIn, 0));
    // Whoever comes now has a lease as soon as without all that.
    if (!claimsAll) expect(bench.comes()).toBeLessThanOrEqual(aloneComes * 1.2);

    bench.calms();
    bench.passes(700, 1_000_000);
    expect(network.stats().flows).toMatchObject({ tcp: OWN.tcp });
    // After so long a rest it begins slowly, RFC 5681 4.1.
    expect(bench.moves('down', MOVED)).toBeLessThanOrEqual(alone.down + SLOW_START);
    expect(await bench.close()).toEqual({ flows: 0, timers: 0, arena: 0 });
  });
});

/** What the guest that floods has had done for it, as far as statistics tell: frames, and sockets of the host. */
function workFor(before: NetworkStats, after: NetworkStats): number {
  const opened = (stats: NetworkStats): number => stats.flows.tcpOpened + stats.flows.udpOpened;
  const frames = after.links[0]!.framesIn - before.links[0]!.framesIn;
  return frames + (opened(after) - opened(before)) * Work.HostSocket;
}

function expectBounded({ host }: FloodBench, before: NetworkStats, during: NetworkStats): void {
  const { tcpFlows, udpFlows, leases } = LIMITS;
  expect(during.flows.tcp).toBeLessThanOrEqual(tcpFlows + OWN.tcp);
  expect(during.flows.udp).toBeLessThanOrEqual(udpFlows + OWN.udp);
  expect(during.leases.length).toBeLessThanOrEqual((leases * 3) / 4 + 1);
  expect(during.arena.used - before.arena.used).toBeLessThanOrEqual(FRAGMENT_BYTES);
  expect(during.timers).toBeLessThanOrEqual(tcpFlows + udpFlows + 10);
  expect(host.streams.size).toBeLessThanOrEqual(tcpFlows + OWN.tcp);
  expect(host.sockets.size).toBeLessThanOrEqual(udpFlows + OWN.udp + NAME_QUERIES);
}

test('the heap is as large after the second time as after the first', async () => {
  const bench = await new FloodBench(CONFIG).start();
  const heapAfter = async (): Promise<number> => {
    for (const { frames } of Object.values(FLOODS)) {
      bench.flooder.flood = frames;
      bench.passes(100);
    }
    bench.calms();
    bench.passes(700, 1_000_000);
    return (await heapInUse()).all;
  };
  const first = await heapAfter();
  expect((await heapAfter()) - first).toBeLessThan(MIB);
});
