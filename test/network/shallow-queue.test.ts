// A way with a narrow place and hardly a queue in front of it: what a sender is worth that sends in bursts. Default
// settings, both directions, on a clock moved by hand; test/e2e/linux-judge.test.ts has the same with Linux as the guest.

import { expect, test } from 'vitest';
import { faultyLink } from '../../src/link/faults.ts';
import { NetworkBench, SocketRecord, to } from '../support/guest-bench.ts';
import { pattern } from '../support/link-bench.ts';

const BYTES = 10 << 20;
const SHARE = 0.7;

/** Mbit/s of BYTES in one direction through `rate=100mbit,delay=1ms` and a queue. */
async function goodput(direction: 'guest to host' | 'host to guest', queue: number): Promise<number> {
  const bench = new NetworkBench();
  bench.keepLines = false;
  const guest = await bench.boot('guest0', {
    alone: true,
    wrap: (link) => faultyLink(link, { rate: 1e8, delay: 1, queue }),
  });
  const record = new SocketRecord();
  guest.connectTcp(to('10.0.2.2', 80), record);
  bench.clock.advance(10);
  const { stream } = bench.host;
  stream.open();
  bench.clock.advance(10);
  const sent = pattern(7, BYTES);
  const from = bench.clock.micros();
  if (direction === 'guest to host') record.write(sent);
  else stream.gives(sent);
  const arrived = (): number => {
    const chunks = direction === 'guest to host' ? stream.chunks : record.chunks;
    return chunks.reduce((sum, chunk) => sum + chunk.length, 0);
  };
  for (let left = 5000; arrived() < BYTES && left > 0; left--) bench.clock.advance(2);
  const took = bench.clock.micros() - from;
  const got = direction === 'guest to host' ? Buffer.concat(stream.chunks) : record.bytes;
  expect(Buffer.compare(got, sent)).toBe(0);
  await bench.close();
  return (BYTES * 8) / took;
}

test.each(['guest to host', 'host to guest'] as const)(
  `%s: a queue of eight frames reaches ${SHARE} of what one of a thousand does`,
  async (direction) => {
    const few = await goodput(direction, 8);
    const many = await goodput(direction, 1000);
    process.stdout.write(`${direction}: queue=8 ${few.toFixed(1)}, queue=1000 ${many.toFixed(1)} Mbit/s\n`);
    expect(many).toBeGreaterThan(90);
    expect(few / many).toBeGreaterThanOrEqual(SHARE);
  },
);
