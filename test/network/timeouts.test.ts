// A guest that has gone without a word, as its link does not tell: the flow ends, and with it the host's side and all
// that it held. How long each state lasts is in test/rfc/timeouts.test.ts; UDP in udp.test.ts; a host that does not
// answer or does not take in tcp.test.ts and limits.test.ts.

import { expect, test } from 'vitest';
import { NetworkBench, SocketRecord, to } from '../support/guest-bench.ts';
import { pattern } from '../support/link-bench.ts';
import { ACK, arp, FIN, PSH, tcp } from '../support/raw-frames.ts';
import { RawBench } from '../support/raw-guest.ts';

const MINUTE = 60_000;
const AT = to('127.0.0.1', 2222);
const FORWARD = { proto: 'tcp', host: '127.0.0.1:2222', guest: '10.0.2.15:22' } as const;

function left({ network }: { network: RawBench['network'] }): object {
  const { flows, timers } = network.stats();
  return { tcp: flows.tcp, udp: flows.udp, timers };
}

const NOTHING = { tcp: 0, udp: 0, timers: 0 };

test('with data on its way to it: gone within minutes, the host is reset, the memory is back', () => {
  const bench = new RawBench();
  const before = bench.network.stats().arena.used;
  bench.connected();
  bench.host.stream.gives(pattern(1, 200_000));
  bench.clock.advance(MINUTE);
  expect(bench.network.stats().arena.used).toBeGreaterThan(before);
  bench.clock.advance(4 * MINUTE);
  expect(left(bench)).toEqual(NOTHING);
  expect(bench.host.stream.wasReset).toBe(true);
  expect(bench.network.stats().arena.used).toBe(before);
});

test('idle: gone after two hours and two minutes', () => {
  const bench = new RawBench();
  bench.connected();
  bench.clock.advance(120 * MINUTE);
  expect(left(bench)).toMatchObject({ tcp: 1 });
  bench.clock.advance(2 * MINUTE + 100);
  expect(left(bench)).toEqual(NOTHING);
  expect(bench.host.stream.wasReset).toBe(true);
});

test.each([
  ['guest', 30_000],
  ['host', 0],
])(
  'half-closed by the %s: its silence is an end after 195 s; the host may answer for %i ms more',
  (who, more) => {
    const bench = new RawBench();
    const { ack, ...said } = bench.connected();
    if (who === 'guest') bench.sends(tcp({ ...said, ack: ack!, flags: ACK | PSH | FIN }, 'last'));
    else {
      bench.host.stream.ends();
      bench.clock.runSoon();
      bench.sends(tcp({ ...said, ack: ack! + 1 }));
    }
    bench.clock.advance(190_000 + more);
    expect(left(bench)).toMatchObject({ tcp: 1 });
    bench.clock.advance(6000);
    expect(left(bench)).toEqual(NOTHING);
    expect(bench.host.stream.wasReset).toBe(true);
  },
);

test('a forward whose guest has the address but answers no SYN: the client is reset after three minutes', async () => {
  const bench = new RawBench({ forwards: [FORWARD] });
  await bench.network.start();
  bench.sends(arp(1, '10.0.2.15', '10.0.2.2'));
  const client = bench.host.connects(AT, to('127.0.0.1', 50_000))!;
  bench.clock.advance(3 * MINUTE);
  expect(client.wasReset).toBe(false);
  bench.clock.advance(MINUTE);
  expect(client.wasReset).toBe(true);
  expect(bench.network.stats().flows.tcp).toBe(0);
});

test('a guest that is there keeps its idle and its half-closed flows for days', async () => {
  const bench = new NetworkBench();
  bench.keepLines = false;
  const guest = await bench.boot();
  bench.host.onConnect = (stream) => stream.open();
  const records = [new SocketRecord(), new SocketRecord(), new SocketRecord()];
  for (const [i, record] of records.entries()) {
    guest.connectTcp(to('10.0.2.2', 80 + i), record);
    bench.clock.advance(5);
  }
  records[0]!.socket!.end();
  bench.host.stream.ends();
  bench.clock.advance(73 * 60 * MINUTE);
  const states = bench.network.flows().flatMap((flow) => (flow.kind === 'tcp' ? [flow.state] : []));
  expect(states.sort()).toEqual(['CLOSE-WAIT', 'ESTABLISHED', 'FIN-WAIT-2']);
  expect(bench.ended).toEqual([]);
});
