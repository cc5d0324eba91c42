// What is left when somebody does not do their part: a host that never takes the last bytes, a guest that answers for
// another, a sender that is almost who was asked.

import { describe, expect, test } from 'vitest';
import { to } from '../support/guest-bench.ts';
import { ACK, arp, FIN, PSH, tcp, udp } from '../support/raw-frames.ts';
import { RawBench } from '../support/raw-guest.ts';

describe('a host that never takes the last bytes', () => {
  test('both have closed: the flow ends after ten minutes, and leaves nothing', () => {
    const bench = new RawBench();
    const { ack, ...said } = bench.connected();
    const { stream } = bench.host;
    stream.holdWrites = true;
    bench.sends(tcp({ ...said, ack: ack!, flags: ACK | PSH | FIN }, 'late'));
    stream.ends();
    bench.clock.runSoon();
    expect(bench.link.lastTcp.flags & FIN).toBe(FIN);
    bench.sends(tcp({ ...said, seq: 1006, ack: ack! + 1, flags: ACK }));
    bench.clock.advance(599_000);
    expect(bench.network.stats().flows.tcp).toBe(1);
    bench.clock.advance(2_000);
    expect(bench.network.stats().flows.tcp).toBe(0);
    expect(bench.network.stats().timers).toBe(0);
    expect(stream.wasReset).toBe(true);
  });
});

describe('UDP from where it should not come', () => {
  test('another address of 127.0.0.0/8 is not the one that the gateway stands for', () => {
    const bench = new RawBench();
    bench.sends(udp('x', { sport: 4000, dport: 7 }));
    const before = bench.link.frames.length;
    bench.host.socket.gives('not me', to('127.0.0.2', 7));
    bench.clock.runSoon();
    expect(bench.link.frames.length).toBe(before);
    expect(bench.network.stats().losses).toEqual({ UdpFiltered: 1 });
    bench.host.socket.gives('me', to('127.0.0.1', 7));
    bench.clock.runSoon();
    expect(bench.link.frames.length).toBe(before + 1);
  });

  test("a guest that takes another's address does not answer the client of its forward", async () => {
    const bench = new RawBench({
      forwards: [{ proto: 'udp', host: '127.0.0.1:2222', guest: '10.0.2.15:22' }],
    });
    await bench.network.start();
    const thief = bench.plug('thief');
    bench.sends(arp(1, '10.0.2.15', '10.0.2.2'));
    const forward = bench.host.socket;
    forward.gives('question', to('127.0.0.1', 50000));
    bench.clock.runSoon();
    const answer = udp('answer', { sport: 22, dport: 50000 });
    thief.sends(answer);
    bench.clock.runSoon();
    expect(forward.hasSentTo(to('127.0.0.1', 50000))).toBe(false);
    bench.sends(answer);
    bench.clock.runSoon();
    expect(forward.hasSentTo(to('127.0.0.1', 50000))).toBe(true);
  });
});

describe('sockets of the host, where there are few', () => {
  const SOCKETS = 128;

  /** A network whose host can open so many sockets, and two guests. */
  function few() {
    const bench = new RawBench();
    const { host } = bench;
    const spareSockets = (): number => SOCKETS - host.openStreams.length - host.openSockets.length;
    Object.assign(host, { spareSockets });
    return { bench, host, spareSockets, other: bench.plug('other') };
  }
  const SECOND = { from: '52:54:00:00:00:02', src: '10.0.2.16' };

  test('connections: one guest has seven eighths at most, the next seven eighths of what is left', () => {
    const { bench, host, spareSockets, other } = few();
    for (let sport = 1; sport <= SOCKETS; sport++) bench.sends(tcp({ sport }));
    expect(host.openStreams.length).toBe((SOCKETS * 7) / 8);
    expect(bench.network.stats().losses).toEqual({ HostSocketsExhausted: SOCKETS / 8 });
    expect(bench.network.stats().drops).toEqual({ TcpFlowsFull: SOCKETS / 8 });
    for (let sport = 1; sport <= SOCKETS; sport++) other.sends(tcp({ ...SECOND, sport }));
    expect(spareSockets()).toBe(SOCKETS / 64);
  });

  test('UDP: beyond that a guest loses its own flow that was idle for longest', () => {
    const { bench, host, other } = few();
    for (let sport = 1; sport <= SOCKETS; sport++) bench.sends(udp('x', { sport }));
    expect(host.openSockets.length).toBe((SOCKETS * 7) / 8);
    expect(host.sockets.slice(0, SOCKETS / 8).every((socket) => socket.closed)).toBe(true);
    expect(bench.network.stats().losses).toEqual({ UdpFlowEvicted: SOCKETS / 8 });
    other.sends(udp('x', SECOND));
    expect(host.openSockets.length).toBe((SOCKETS * 7) / 8 + 1);
  });

  test('what is closed can be had again', () => {
    const { bench, host } = few();
    for (let sport = 1; sport <= SOCKETS; sport++) bench.sends(tcp({ sport }));
    for (const stream of host.openStreams) stream.fail('refused');
    bench.clock.runSoon();
    bench.sends(tcp({ sport: 1000 }));
    expect(host.openStreams.length).toBe(1);
  });
});

test('a guest that goes and leaves hundreds of flows: no turn ends more than some of them, and all end', () => {
  const bench = new RawBench();
  for (let sport = 1; sport <= 100; sport++) bench.sends(tcp({ sport }), udp('x', { sport }));
  bench.link.goesDown();
  const left: number[] = [];
  const open = (): number => bench.host.openSockets.length;
  for (let before = open(); left.length < 20; before = open()) {
    bench.clock.runSoon(1);
    left.push(before - open());
  }
  expect(Math.max(...left)).toBeLessThanOrEqual(32);
  const { flows, timers } = bench.network.stats();
  expect({ ...flows, timers }).toMatchObject({ tcp: 0, udp: 0, timers: 0 });
  expect([bench.host.openSockets, bench.host.openStreams]).toEqual([[], []]);
});
