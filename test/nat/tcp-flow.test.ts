import { expect, test } from 'vitest';
import { NetworkBench, SocketRecord, to } from '../support/guest-bench.ts';
import { pattern } from '../support/link-bench.ts';

const NOTHING = { flows: 0, timers: 0, arena: 0 };

/** A guest with memory of its own, connected to a host that the test plays. */
async function connected(bench: NetworkBench): Promise<SocketRecord> {
  const guest = await bench.boot('guest0', { alone: true });
  const record = new SocketRecord();
  bench.host.onConnect = (stream) => stream.open();
  guest.connectTcp(to('10.0.2.2', 80), record);
  bench.clock.advance(10);
  expect(record.events).toEqual(['open']);
  return record;
}

test.each([4096, 16_384, 65_536, 131_072])(
  'a flow of %i bytes carries what is larger than it, both ways',
  async (flowBytes) => {
    const bench = new NetworkBench({ limits: { flowBytes } });
    bench.keepLines = false;
    const record = await connected(bench);
    const data = pattern(1, 300_000);
    bench.host.stream.gives(data).ends();
    record.write(data);
    for (let i = 0; i < 2000 && record.bytes.length < data.length; i++) bench.clock.advance(5);
    expect(record.bytes.equals(data)).toBe(true);
    expect(Buffer.from(bench.host.stream.written).equals(data)).toBe(true);
    expect(bench.network.stats().losses).toEqual({});
    expect(await bench.close()).toEqual(NOTHING);
  },
);

test('a guest that gives up while the host is connecting has reset it, and was not refused', async () => {
  const bench = new NetworkBench();
  const guest = await bench.boot();
  const socket = guest.connectTcp(to('198.51.100.7', 80), new SocketRecord());
  bench.clock.advance(5);
  // What a guest that has given up says to the SYN-ACK that comes after all.
  bench.host.stream.open();
  socket.reset();
  bench.clock.advance(5);
  expect(bench.ended.map((flow) => flow.reason)).toEqual(['guest-reset']);
  expect(await bench.close()).toEqual(NOTHING);
});
