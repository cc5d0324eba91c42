import { describe, expect, test } from 'vitest';
import { formatEndpoint } from '../../src/base/addr.ts';
import type { EmbeddedGuest } from '../../src/guest/guest.ts';
import type { GuestUdpSocket } from '../../src/guest/udp-socket.ts';
import { NetworkBench, to } from '../support/guest-bench.ts';

const NOTHING = { flows: 0, timers: 0, arena: 0 };
const REMOTE = to('198.51.100.1', 5000);

function open(guest: EmbeddedGuest, heard: string[] = []): GuestUdpSocket {
  return guest.openUdp({
    onDatagram: (data, from) =>
      heard.push(`${Buffer.from(data).toString('latin1')} from ${formatEndpoint(from)}`),
    onUnreachable: (code, peer) => heard.push(`unreachable ${code} ${formatEndpoint(peer)}`),
  });
}

describe('the limit of a guest', () => {
  test('the flow that was used last stays, however often it was used before', async () => {
    const bench = new NetworkBench({ limits: { udpFlows: 2 } });
    const guest = await bench.boot();
    const busy = open(guest);
    const idle = open(guest);
    busy.send(REMOTE, Buffer.from('1'));
    bench.clock.advance(5);
    idle.send(REMOTE, Buffer.from('2'));
    for (let i = 0; i < 20; i++) {
      bench.clock.advance(500);
      busy.send(REMOTE, Buffer.from('3'));
    }
    open(guest).send(REMOTE, Buffer.from('4'));
    bench.clock.advance(5);
    expect(bench.ended.map(({ reason, bytesToHost }) => [reason, bytesToHost])).toEqual([['evicted', 1]]);
    expect(await bench.close()).toEqual(NOTHING);
  });

  test('no descriptor left: the idlest goes, so that the next datagram finds one', async () => {
    const bench = new NetworkBench();
    const guest = await bench.boot();
    const first = open(guest);
    first.send(REMOTE, Buffer.from('1'));
    bench.clock.advance(2000);
    const second = open(guest);
    second.send(REMOTE, Buffer.from('2'));
    bench.clock.runSoon();
    bench.host.socket.fails('exhausted');
    bench.clock.advance(5);
    expect(bench.host.openSockets.filter((one) => one.sent.length > 0).length).toBe(0);
    expect(bench.network.stats().losses).toEqual({ HostSocketsExhausted: 1, UdpFlowEvicted: 1 });
    expect(await bench.close()).toEqual(NOTHING);
  });
});

test.each([
  ['host-unreachable', 1],
  ['net-unreachable', 0],
  ['not-permitted', 13],
  ['failed', 1],
] as const)('RFC 1122 4.1.3.3: %s is ICMP code %i to the guest, and the flow ends', async (error, code) => {
  const bench = new NetworkBench();
  const guest = await bench.boot();
  const heard: string[] = [];
  open(guest, heard).send(REMOTE, Buffer.from('1'));
  bench.clock.advance(5);
  bench.host.socket.fails(error);
  bench.clock.advance(5);
  expect(heard).toEqual([`unreachable ${code} 198.51.100.1:5000`]);
  expect(bench.ended.map((flow) => flow.reason)).toEqual(['unreachable']);
  expect(await bench.close()).toEqual(NOTHING);
});

describe('udpFullCone: anybody may send to a port that the guest has used', () => {
  test('and is answered from there', async () => {
    const bench = new NetworkBench({ udpFullCone: true });
    const guest = await bench.boot();
    const heard: string[] = [];
    const socket = open(guest, heard);
    socket.send(REMOTE, Buffer.from('1'));
    bench.clock.advance(5);
    bench.host.socket.gives('hello', to('203.0.113.9', 99));
    bench.clock.advance(5);
    expect(heard).toEqual(['hello from 203.0.113.9:99']);
    socket.send(to('203.0.113.9', 99), Buffer.from('2'));
    bench.clock.advance(5);
    expect(bench.host.socket.hasSentTo(to('203.0.113.9', 99))).toBe(true);
    expect(await bench.close()).toEqual(NOTHING);
  });

  test("but nobody to whom the guest may not send: the host's loopback where that is closed, metadata", async () => {
    const bench = new NetworkBench({ udpFullCone: true, hostLoopback: false });
    const guest = await bench.boot();
    const heard: string[] = [];
    const socket = open(guest, heard);
    socket.send(REMOTE, Buffer.from('1'));
    bench.clock.advance(5);
    const used = bench.host.socket;
    used.gives('hello', to('127.0.0.1', 99));
    used.gives('hello', to('169.254.169.254', 80));
    bench.clock.advance(5);
    socket.send(to('10.0.2.2', 99), Buffer.from('2'));
    bench.clock.advance(5);
    expect(heard).toEqual(['unreachable 3 10.0.2.2:99']);
    expect(used.sent.length).toBe(1);
    expect(bench.network.stats().losses).toEqual({ UdpFiltered: 2 });
    expect(await bench.close()).toEqual(NOTHING);
  });
});
