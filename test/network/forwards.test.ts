import { describe, expect, test } from 'vitest';
import { formatEndpoint } from '../../src/base/addr.ts';
import { NetworkBench, SocketRecord, to } from '../support/guest-bench.ts';
import { pattern } from '../support/link-bench.ts';

const NOTHING = { flows: 0, timers: 0, arena: 0 };
const AT = to('127.0.0.1', 2222);
const FORWARD = { proto: 'tcp', host: '127.0.0.1:2222', guest: '10.0.2.15:22' } as const;

describe('TCP from the host to a guest', () => {
  test('the guest sees the client as the gateway, and bytes go both ways', async () => {
    const bench = new NetworkBench({ forwards: [FORWARD] });
    await bench.network.start();
    const guest = await bench.boot();
    const server = new SocketRecord();
    const peers: string[] = [];
    guest.listenTcp(22, (socket) => {
      peers.push(formatEndpoint(socket.peer));
      server.socket = socket;
      return server;
    });
    const client = bench.host.connects(AT, to('127.0.0.1', 50_000))!;
    client.gives('SSH-2.0');
    bench.clock.advance(5);
    expect(peers).toEqual(['10.0.2.2:50000']);
    expect(server.text).toBe('SSH-2.0');
    server.write('hello');
    bench.clock.advance(5);
    expect(client.text).toBe('hello');
    client.ends();
    server.socket?.end();
    bench.clock.advance(20_000);
    expect(server.events).toEqual(['open', 'end', 'normal']);
    expect(client.ended).toBe(true);
    expect(await bench.close()).toEqual(NOTHING);
  });

  test('a client from elsewhere keeps its address; two from one port are told apart', async () => {
    const bench = new NetworkBench({ forwards: [FORWARD] });
    await bench.network.start();
    const guest = await bench.boot();
    const peers: string[] = [];
    guest.listenTcp(22, (socket) => {
      peers.push(formatEndpoint(socket.peer));
      return {};
    });
    bench.host.connects(AT, to('192.0.2.9', 50_000));
    bench.host.connects(AT, to('127.0.0.1', 50_001));
    bench.host.connects(AT, to('127.0.0.2', 50_001));
    bench.clock.advance(5);
    expect(peers.slice(0, 2)).toEqual(['192.0.2.9:50000', '10.0.2.2:50001']);
    expect(peers[2]).toMatch(/^10\.0\.2\.2:(49|5\d|6\d)\d{3}$/);
    expect(new Set(peers).size).toBe(3);
    expect(await bench.close()).toEqual(NOTHING);
  });

  test('a guest that refuses resets the client, of which no byte was read', async () => {
    const bench = new NetworkBench({ forwards: [FORWARD] });
    await bench.network.start();
    await bench.boot();
    const client = bench.host.connects(AT, to('127.0.0.1', 50_000))!;
    client.gives('anybody?');
    expect(client.undelivered).toBe(8);
    bench.clock.advance(5);
    expect(client.reading).toBe(false);
    expect(client.wasReset).toBe(true);
    expect(bench.ended.map((flow) => flow.reason)).toEqual(['refused']);
    expect(await bench.close()).toEqual(NOTHING);
  });

  test('nobody has the address: the client is reset after the gateway has asked for a second', async () => {
    const bench = new NetworkBench({ forwards: [FORWARD] });
    await bench.network.start();
    bench.plug('silent');
    const client = bench.host.connects(AT, to('127.0.0.1', 50_000))!;
    bench.clock.advance(990);
    expect(client.wasReset).toBe(false);
    bench.clock.advance(20);
    expect(client.wasReset).toBe(true);
    expect(bench.network.stats().losses).toEqual({ NeighbourUnknown: 1, ForwardUnreachable: 1 });
    expect(await bench.close()).toEqual(NOTHING);
  });

  test('a client that is gone before the guest is found leaves nothing', async () => {
    const bench = new NetworkBench({ forwards: [FORWARD] });
    await bench.network.start();
    const guest = bench.plug('late');
    const client = bench.host.connects(AT, to('127.0.0.1', 50_000))!;
    bench.clock.advance(100);
    client.fail('reset');
    bench.clock.advance(100);
    await bench.lease(guest);
    bench.clock.advance(2000);
    expect(bench.network.stats().flows.tcp).toBe(0);
    expect(await bench.close()).toEqual(NOTHING);
  });

  test('closed while a client waits for its guest to be found', async () => {
    const bench = new NetworkBench({ forwards: [FORWARD] });
    await bench.network.start();
    bench.plug('silent');
    const client = bench.host.connects(AT, to('127.0.0.1', 50_000))!;
    bench.clock.advance(100);
    expect(await bench.close()).toEqual(NOTHING);
    expect(client.wasReset).toBe(true);
  });

  test('8 MiB from the client while the guest reads slowly', async () => {
    const bench = new NetworkBench({ forwards: [FORWARD] });
    bench.keepLines = false;
    await bench.network.start();
    const guest = await bench.boot();
    const server = new SocketRecord();
    server.reads = false;
    guest.listenTcp(22, (socket) => {
      server.socket = socket;
      return server;
    });
    const data = pattern(1, 8 << 20);
    const client = bench.host.connects(AT, to('127.0.0.1', 50_000))!;
    client.gives(data).ends();
    for (let i = 0; i < 5000 && !server.events.includes('end'); i++) {
      bench.clock.advance(1);
      const chunk = new Uint8Array(20_000);
      if (server.socket !== null) server.chunks.push(chunk.subarray(0, server.socket.read(chunk)));
    }
    server.reads = true;
    server.onReadable(server.socket!);
    expect(server.bytes.equals(data)).toBe(true);
    expect(await bench.close()).toEqual(NOTHING);
  });
});

describe('UDP from the host to a guest', () => {
  test('a datagram reaches the guest, and its answer the client, from the port it was sent to', async () => {
    const bench = new NetworkBench({ forwards: [{ ...FORWARD, proto: 'udp' }] });
    await bench.network.start();
    const guest = await bench.boot();
    const heard: string[] = [];
    const socket = guest.openUdp(
      {
        onDatagram: (data, from) => {
          heard.push(`${Buffer.from(data).toString('latin1')} from ${formatEndpoint(from)}`);
          socket.send(from, Buffer.from('answer'));
        },
      },
      22,
    );
    const forward = bench.host.sockets.find((one) => one.at !== null)!;
    forward.gives('question', to('127.0.0.1', 50_000));
    bench.clock.advance(5);
    expect(heard).toEqual(['question from 10.0.2.2:50000']);
    expect(Buffer.from(forward.lastSent.data).toString('latin1')).toBe('answer');
    expect(forward.lastSent.to).toEqual(to('127.0.0.1', 50_000));
    // The guest speaks to somebody else from the same port: that is a flow of its own.
    socket.send(to('198.51.100.1', 9), Buffer.from('x'));
    bench.clock.advance(5);
    expect(bench.network.stats().flows.udp).toBe(1);
    bench.clock.advance(500_000);
    expect(bench.network.stats().timers).toBeLessThanOrEqual(1);
    expect(await bench.close()).toEqual(NOTHING);
  });
});
