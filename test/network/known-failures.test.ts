// What other user-mode networks are known to fail at, as far as no other test has it: requirements.json in test/rfc lists
// all of them, each with its tests.

import { performance } from 'node:perf_hooks';
import { describe, expect, test } from 'vitest';
import { formatEndpoint } from '../../src/base/addr.ts';
import type { PlayedStream } from '../../src/host/played-host.ts';
import { NetworkBench, to } from '../support/guest-bench.ts';
import { ACK, PSH, RST, readTcp, SYN, type TcpFields, tcp, udp } from '../support/raw-frames.ts';
import { RawBench } from '../support/raw-guest.ts';

test('predictable ISN: one connection tells nothing of the number of the next', () => {
  const bench = new RawBench();
  const steps: number[] = [];
  let last = 0;
  for (let i = 0; i < 64; i++) {
    const iss = bench.connected(5000 + i).ack! - 1;
    if (i > 0) steps.push((iss - last) >>> 0);
    last = iss;
    bench.clock.advance(1);
  }
  expect(new Set(steps).size).toBe(steps.length);
  // Spread over the whole range, not in one direction by about as much.
  for (let quarter = 0; quarter < 4; quarter++)
    expect(steps.filter((step) => step >>> 30 === quarter).length).toBeGreaterThan(5);
});

test('a multicast destination that loops: what is sent to a group is dropped, and nothing is left to do', () => {
  const bench = new RawBench();
  const { nextAlarm } = bench.clock;
  for (const dst of ['224.0.0.1', '224.0.0.251', '239.255.255.250', '255.255.255.255', '10.0.2.255'])
    for (const mac of ['01:00:5e:00:00:fb', 'ff:ff:ff:ff:ff:ff', '52:55:0a:00:02:02'])
      bench.sends(udp('x', { dst, to: mac, dport: 5353 }), tcp({ dst, to: mac }));
  bench.clock.runSoon(1);
  expect(bench.clock.soonCount).toBe(0);
  expect(bench.clock.nextAlarm).toBe(nextAlarm);
  expect([bench.host.sockets, bench.host.streams, bench.link.frames]).toEqual([[], [], []]);
});

test('a UDP reply with the wrong source: it comes from the address that was asked, whoever else was asked since', async () => {
  const bench = new NetworkBench();
  const guest = await bench.boot();
  const heard: string[] = [];
  const onDatagram = (data: Uint8Array, from: Parameters<typeof formatEndpoint>[0]) =>
    heard.push(`${Buffer.from(data)} from ${formatEndpoint(from)}`);
  const socket = guest.openUdp({ onDatagram, onUnreachable: () => {} }, 4000);
  const asked = [to('10.0.2.2', 7), to('198.51.100.1', 7), to('198.51.100.2', 7), to('198.51.100.1', 8)];
  for (const peer of asked) socket.send(peer, Buffer.from('?'));
  bench.clock.advance(5);
  const used = bench.host.socket;
  for (const peer of [
    to('198.51.100.1', 8),
    to('127.0.0.1', 7),
    to('198.51.100.2', 7),
    to('198.51.100.1', 7),
  ])
    used.gives('!', peer);
  bench.clock.advance(5);
  const sources = ['198.51.100.1:8', '10.0.2.2:7', '198.51.100.2:7', '198.51.100.1:7'];
  expect(heard).toEqual(sources.map((source) => `! from ${source}`));
  await bench.close();
});

describe('cost that grows with the number of idle flows', () => {
  const ROUNDS = 200;

  /** An engine with connections that say nothing, and one that is used. */
  class BusyBench extends RawBench {
    /** The least that a call of busy() took, ms. */
    best = Number.POSITIVE_INFINITY;
    private readonly said: TcpFields;
    private readonly stream: PlayedStream;
    private seq: number;
    private ack: number;
    private port = 20_000;

    constructor(idle: number) {
      super({ limits: { tcpFlows: 8192 } });
      for (let i = 0; i < idle; i++) this.connected(10_000 + i);
      this.said = this.connected(9000);
      this.stream = this.host.stream;
      this.seq = this.said.seq!;
      this.ack = this.said.ack!;
      this.link.takes();
    }

    /** A question and its answer, and a connection that is refused, ROUNDS times. */
    busy(): void {
      const start = performance.now();
      for (let i = 0; i < ROUNDS; i++) {
        this.sends(tcp({ ...this.said, seq: this.seq, ack: this.ack, flags: ACK | PSH }, 'ping'));
        this.stream.gives('pong');
        this.clock.runSoon();
        this.seq += 4;
        for (const frame of this.link.takes()) this.ack += readTcp(frame).len;
        this.sends(tcp({ sport: this.port++, flags: SYN }));
        this.host.stream.fail('refused');
        this.clock.runSoon();
        expect(readTcp(this.link.takes()[0]!).flags).toBe(RST | ACK);
      }
      this.best = Math.min(this.best, performance.now() - start);
      expect(this.ack - this.said.ack!).toBe(this.seq - this.said.seq!);
    }
  }

  test('with 4000 of them an answer and a new connection take about as long as with none', () => {
    const [few, many] = [new BusyBench(0), new BusyBench(4000)];
    // By turns, and the best of each: what else the machine does is in neither.
    for (let block = 0; block < 8; block++) {
      few.busy();
      many.busy();
    }
    expect(many.network.stats().flows.tcp).toBe(4001);
    expect(many.best / few.best).toBeLessThan(3);
  });
});
