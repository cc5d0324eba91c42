// What a network says of a link that is bad on purpose, to its end.

import { afterEach, describe, expect, test } from 'vitest';
import type { FaultCounts, FaultStats } from '../../src/link/fault-stats.ts';
import { faultyLink } from '../../src/link/faults.ts';
import { FramePort } from '../../src/link/frame-port.ts';
import type { Link } from '../../src/link/link.ts';
import type { Network } from '../../src/network/network.ts';
import { numbered, someNumbered } from '../support/fault-bench.ts';
import { RawBench, RawLink } from '../support/raw-guest.ts';

const networks: Network[] = [];
afterEach(async () => {
  for (const network of networks.splice(0)) await network.close();
});

function newBench(): RawBench {
  const bench = new RawBench();
  networks.push(bench.network);
  return bench;
}

function faultsOf(network: Network, name: string): FaultStats | undefined {
  return network.stats().links.find((link) => link.name === name)?.faults;
}

/** Frames that came, and second copies, are what the counters add up to. */
function sumOf(counts: FaultCounts): number {
  const { passed, lost, queueFull, noMemory, cutOff, waiting } = counts;
  return passed + lost + queueFull + noMemory + cutOff + waiting;
}

type Ending = (network: Network, link: Link, raw: RawLink) => unknown;
const endings: readonly (readonly [string, Ending])[] = [
  ['detach()', (network, link) => network.detach(link)],
  ['detach() by whoever hears of a frame', (network, link) => network.turn.run(() => network.detach(link))],
  ['close() of the network', (network) => network.close()],
  ['the guest', (_, __, raw) => raw.goesDown()],
];

describe('frames that are on their way when the link ends', () => {
  test.each(endings)('by %s: they are cut off, also in the statistics that stay', async (_, end) => {
    const { network } = newBench();
    const raw = new RawLink('bad0');
    const link = faultyLink(raw, { delay: 10_000 });
    network.attach(link);
    raw.sends(...someNumbered(5));
    expect(faultsOf(network, 'bad0')?.fromGuest).toMatchObject({ waiting: 5, cutOff: 0 });
    await end(network, link, raw);
    expect(network.stats().links.find(({ name }) => name === 'bad0')?.up).toBe(false);
    expect(faultsOf(network, 'bad0')?.fromGuest).toMatchObject({ passed: 0, waiting: 0, cutOff: 5 });
    expect(faultsOf(network, 'bad0')).toEqual(link.faults);
  });

  test('of two links of one name, one after the other, each has its own', async () => {
    const { network } = newBench();
    for (const frames of [2, 3]) {
      const raw = new RawLink('bad0');
      const link = faultyLink(raw, { delay: 10_000 });
      network.attach(link);
      raw.sends(...someNumbered(frames));
      await network.detach(link);
    }
    const cutOff = network.stats().links.map(({ faults }) => faults?.fromGuest.cutOff);
    expect(cutOff.filter((n) => n !== undefined)).toEqual([2, 3]);
  });

  test('what was corrupted or reordered and then cut off is counted as both', async () => {
    const { network } = newBench();
    const raw = new RawLink('bad0');
    const link = faultyLink(raw, { delay: 10_000, corrupt: 1, reorder: 0.5, duplicate: 1, seed: 3 });
    network.attach(link);
    raw.sends(...someNumbered(40));
    await network.detach(link);
    const counts = faultsOf(network, 'bad0')!.fromGuest;
    expect(counts).toMatchObject({ corrupted: 40, duplicated: 40, waiting: 0 });
    expect(counts.reordered).toBeGreaterThan(0);
    expect(sumOf(counts)).toBe(80);
  });
});

test('one around another: both do what they are told, and the counts are those of the outer one', () => {
  const bench = newBench();
  const raw = new RawLink('bad0');
  bench.network.attach(faultyLink(faultyLink(raw, { loss: 0.5 }), { delay: 1 }));
  raw.sends(...someNumbered(200));
  bench.clock.advance(10);
  const { fromGuest } = faultsOf(bench.network, 'bad0')!;
  expect(fromGuest.lost).toBe(0);
  expect(fromGuest.passed).toBeGreaterThan(60);
  expect(fromGuest.passed).toBeLessThan(140);
});

test('a link that was closed or taken out cannot be attached again, and that is no bug of usernet', async () => {
  const { network } = newBench();
  const link = faultyLink(new RawLink('bad0'), { delay: 1 });
  network.attach(link);
  await network.detach(link);
  expect(() => network.attach(link)).toThrow(/^the link bad0 is closed$/);
});

test('a port behind it that its emulator closes: the network hears of it, and the name is free', async () => {
  const { network } = newBench();
  const downs: string[] = [];
  network.on('guest-down', ({ link, reason }) => downs.push(`${link}: ${reason}`));
  const nothing = (): void => {};
  const options = { maxFrame: 1514, toGuest: nothing, onThrow: nothing, onLost: nothing };
  const port = new FramePort({ name: 'bad0', ...options });
  const link = faultyLink(port, { delay: 1 });
  network.attach(link);
  port.fromGuest(numbered(0));
  await link.close();
  expect(downs).toEqual(['bad0: unplugged']);
  network.attach(new RawLink('bad0'));
});
