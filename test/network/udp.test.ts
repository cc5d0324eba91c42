import { beforeEach, describe, expect, test } from 'vitest';
import { type Endpoint, formatEndpoint } from '../../src/base/addr.ts';
import type { EmbeddedGuest } from '../../src/guest/guest.ts';
import type { GuestUdpSocket } from '../../src/guest/udp-socket.ts';
import { NetworkBench, to } from '../support/guest-bench.ts';
import { pattern } from '../support/link-bench.ts';

const NOTHING = { flows: 0, timers: 0, arena: 0 };

let bench: NetworkBench;
let guest: EmbeddedGuest;
let socket: GuestUdpSocket;
let heard: { data: Buffer; from: string }[];
let errors: string[];

function listen(machine: EmbeddedGuest, port = 0): GuestUdpSocket {
  return machine.openUdp(
    {
      onDatagram: (data, from) => heard.push({ data: Buffer.from(data), from: formatEndpoint(from) }),
      onUnreachable: (code, peer) => errors.push(`${code} ${formatEndpoint(peer)}`),
    },
    port,
  );
}

beforeEach(async () => {
  bench = new NetworkBench();
  guest = await bench.boot();
  heard = [];
  errors = [];
  socket = listen(guest);
});

function send(peer: Endpoint, data: Uint8Array): void {
  socket.send(peer, data);
  bench.clock.advance(5);
}

describe('UDP through NAT', () => {
  test.each([0, 1, 1472, 1473, 4000, 65507])('%i bytes reach the host and come back', async (length) => {
    bench.host.onSend = (udp, data, peer) => udp.gives(data, peer);
    const data = pattern(length, length);
    send(to('10.0.2.2', 7), data);
    expect(bench.host.socket.lastSent.to).toEqual(to('127.0.0.1', 7));
    expect(data.equals(bench.host.socket.lastSent.data)).toBe(true);
    expect(heard.map((one) => one.from)).toEqual(['10.0.2.2:7']);
    expect(data.equals(heard[0]!.data)).toBe(true);
    expect(await bench.close()).toEqual(NOTHING);
  });

  test('RFC 1122 4.1.3.1: a closed port is ICMP port unreachable', async () => {
    send(to('10.0.2.2', 9), pattern(1, 20));
    bench.host.socket.fails('refused');
    bench.clock.advance(5);
    expect(errors).toEqual(['3 10.0.2.2:9']);
    expect(bench.lines.at(-1)).toContain('ICMP port unreachable, about 10.0.2.15');
    // The flow lives on.
    expect(bench.network.stats().flows.udp).toBe(1);
    expect(await bench.close()).toEqual(NOTHING);
  });

  test('a name service that is off: the gateway itself says that nobody is there', async () => {
    send(to('10.0.2.3', 9), pattern(1, 20));
    expect(errors).toEqual(['3 10.0.2.3:9']);
    expect(bench.host.sockets.filter((one) => one.sent.length > 0)).toEqual([]);
    await bench.close();
  });

  test('RFC 4787 4.1: one socket for one port of the guest, whoever it talks to', async () => {
    send(to('198.51.100.1', 5000), pattern(1, 1));
    send(to('198.51.100.2', 5000), pattern(2, 1));
    const used = bench.host.sockets.filter((one) => one.sent.length > 0);
    expect(used).toHaveLength(1);
    expect(bench.network.stats().flows.udp).toBe(1);
    // Filtering: only from whom the guest has sent to.
    used[0]!.gives('a', to('198.51.100.2', 5000));
    used[0]!.gives('b', to('198.51.100.2', 5001));
    used[0]!.gives('c', to('198.51.100.3', 5000));
    bench.clock.advance(5);
    expect(heard.map((one) => one.from)).toEqual(['198.51.100.2:5000']);
    expect(bench.network.stats().losses).toEqual({ UdpFiltered: 2 });
    await bench.close();
  });

  test('a flow ends after 240 s without a packet', async () => {
    send(to('198.51.100.1', 5000), pattern(1, 1));
    bench.clock.advance(239_000);
    expect(bench.network.stats().flows.udp).toBe(1);
    bench.clock.advance(1100);
    expect(bench.network.stats().flows.udp).toBe(0);
    expect(bench.ended.map((flow) => flow.reason)).toEqual(['idle']);
    expect(bench.host.openSockets).toEqual([]);
    expect(await bench.close()).toEqual(NOTHING);
  });

  test('a query to port 53 that was answered: 10 s', async () => {
    send(to('198.51.100.1', 53), pattern(1, 30));
    bench.host.socket.gives('answer', to('198.51.100.1', 53));
    bench.clock.advance(9900);
    expect(bench.network.stats().flows.udp).toBe(1);
    bench.clock.advance(1200);
    expect(bench.network.stats().flows.udp).toBe(0);
    await bench.close();
  });
});

describe('UDP between guests', () => {
  test.each([0, 1472, 65507])('%i bytes, without the gateway', async (length) => {
    const other = await bench.boot('b');
    listen(other, 7000);
    const data = pattern(3, length);
    send(to('10.0.2.16', 7000), data);
    expect(heard.map((one) => one.from)).toEqual([`10.0.2.15:${socket.port}`]);
    expect(data.equals(heard[0]!.data)).toBe(true);
    expect(bench.network.stats().flows.udpOpened).toBe(0);
    expect(await bench.close()).toEqual(NOTHING);
  });
});

describe('pings', () => {
  test('of the gateway and of the world are dropped by design, and counted, one for one', async () => {
    for (let i = 0; i < 5; i++) {
      guest.ping(to('10.0.2.2', 0).addr.w3);
      guest.ping(to('198.51.100.1', 0).addr.w3);
    }
    bench.clock.advance(1000);
    expect(guest.pings).toBe(10);
    expect(guest.pingReplies).toBe(0);
    expect(bench.network.stats().drops['IcmpByDesign']).toBe(10);
    expect(bench.seen('ICMP echo request')).toHaveLength(10);
    expect(bench.seen('ICMP echo reply')).toEqual([]);
    await bench.close();
  });
});
