// Code of the embedder on the virtual network: it connects to guests, guests connect to it.

import { describe, expect, test } from 'vitest';
import { formatEndpoint } from '../../src/base/addr.ts';
import type { ByteStream } from '../../src/host/byte-stream.ts';
import { NetworkBench, SocketRecord, to } from '../support/guest-bench.ts';
import { pattern } from '../support/link-bench.ts';

const NOTHING = { flows: 0, timers: 0, arena: 0 };

/** What code hears of a stream, written down. */
class Heard {
  readonly events: string[] = [];
  readonly chunks: Uint8Array[] = [];

  constructor(stream: ByteStream) {
    stream.listen({
      onData: (data) => this.chunks.push(data),
      onDrain: () => this.events.push('drain'),
      onEnd: () => this.events.push('end'),
      onClose: (error) => this.events.push(`close ${error}`),
    });
  }

  get bytes(): Buffer {
    return Buffer.concat(this.chunks);
  }
}

async function settle<T>(bench: NetworkBench, work: Promise<T>, ms = 5): Promise<T> {
  work.catch(() => {});
  bench.clock.advance(ms);
  return await work;
}

/** A guest with a server on port 80, and code connected to it. */
async function connected() {
  const bench = new NetworkBench();
  const guest = await bench.boot();
  const server = new SocketRecord();
  const peers: string[] = [];
  guest.listenTcp(80, (socket) => {
    peers.push(formatEndpoint(socket.peer));
    server.socket = socket;
    return server;
  });
  const stream = await settle(bench, bench.network.connectTcp('10.0.2.15:80'));
  return { bench, guest, server, stream, peers };
}

describe('connectTcp', () => {
  test('the guest sees the gateway; bytes and ends go both ways', async () => {
    const { bench, server, stream, peers } = await connected();
    const heard = new Heard(stream);
    stream.write(Buffer.from('GET /'));
    bench.clock.advance(5);
    expect(server.text).toBe('GET /');
    expect(peers).toEqual([expect.stringMatching(/^10\.0\.2\.2:(49|5\d|6\d)\d{3}$/)]);
    server.write('hello');
    server.socket?.end();
    bench.clock.advance(5);
    expect(heard.bytes.toString()).toBe('hello');
    expect(heard.events).toEqual(['end']);
    stream.write(Buffer.from('bye'));
    stream.end();
    bench.clock.advance(20_000);
    expect(server.text).toBe('GET /bye');
    expect(heard.events).toEqual(['end', 'close null']);
    expect(await bench.close()).toEqual(NOTHING);
  });

  test('a megabyte each way: what is written is copied, write() says when to wait', async () => {
    const { bench, server, stream } = await connected();
    const heard = new Heard(stream);
    const sent = pattern(5, 1 << 20);
    // Of a Buffer slice() would be no copy.
    const lent = Buffer.from(sent);
    expect(stream.write(lent)).toBe(false);
    lent.fill(0);
    server.write(Buffer.from(sent));
    bench.clock.advance(200);
    expect(Buffer.from(server.bytes).equals(sent)).toBe(true);
    expect(heard.bytes.equals(sent)).toBe(true);
    expect(heard.events).toEqual(['drain']);
  });

  test('code that has paused holds the guest back, and nothing piles up', async () => {
    const { bench, server, stream } = await connected();
    const heard = new Heard(stream);
    stream.pause();
    server.write(Buffer.alloc(8 << 20));
    bench.clock.advance(2000);
    expect(heard.bytes.length).toBe(0);
    const [flow] = bench.network.flows();
    expect(flow?.kind === 'tcp' && flow.bytesToHost).toBe(0);
    expect(bench.network.stats().arena.used).toBeLessThan(8 << 20);
    stream.resume();
    bench.clock.advance(5000);
    expect(heard.bytes.length).toBe(8 << 20);
  });

  test("a chunk is the code's own, a plain Uint8Array, and stays as it is", async () => {
    const { bench, server, stream } = await connected();
    const heard = new Heard(stream);
    server.write('first');
    bench.clock.advance(5);
    server.write('later');
    bench.clock.advance(5);
    expect(Object.getPrototypeOf(heard.chunks[0])).toBe(Uint8Array.prototype);
    expect(Buffer.from(heard.chunks[0]!).toString()).toBe('first');
  });

  test("a port alone is the first guest's; each refusal has its reason", async () => {
    const { bench, guest } = await connected();
    await settle(bench, bench.network.connectTcp('80'));
    const refused = bench.network.connectTcp('10.0.2.15:81');
    await expect(settle(bench, refused)).rejects.toMatchObject({
      name: 'ConnectError',
      reason: 'refused',
      message: 'connect 10.0.2.15:81: refused',
    });
    const nobody = bench.network.connectTcp('10.0.2.77:80');
    await expect(settle(bench, nobody, 2000)).rejects.toMatchObject({ reason: 'host-unreachable' });
    guest.close();
    bench.clock.advance(5);
    const gone = bench.network.connectTcp('10.0.2.15:80');
    await expect(settle(bench, gone, 200_000)).rejects.toMatchObject({ reason: 'host-unreachable' });
    await expect(bench.network.connectTcp('10.9.9.9:80')).rejects.toThrow(
      'connectTcp: 10.9.9.9 is not in 10.0.2.0/24',
    );
    expect(await bench.close()).toEqual(NOTHING);
  });

  test('an aborted one leaves nothing behind; a reset of either side reaches the other', async () => {
    const { bench, server, stream } = await connected();
    const abort = new AbortController();
    const waits = bench.network.connectTcp('10.0.2.99:80', { signal: abort.signal });
    abort.abort(new Error('enough'));
    await expect(settle(bench, waits)).rejects.toThrow('enough');
    await expect(bench.network.connectTcp('80', { signal: abort.signal })).rejects.toThrow('enough');
    const heard = new Heard(stream);
    server.socket?.reset();
    bench.clock.advance(5);
    expect(heard.events).toEqual(['close reset']);
    const second = await settle(bench, bench.network.connectTcp('80'));
    second.listen({});
    second.reset();
    bench.clock.advance(5);
    expect(server.events.at(-1)).toBe('reset');
    expect(await bench.close()).toEqual(NOTHING);
  });
});

describe('listenTcp', () => {
  test.each(['8080', '10.0.2.2:8080', '192.0.2.1:8080'])(
    'at %s: guests reach code, the host does not',
    async (at) => {
      const bench = new NetworkBench();
      const guest = await bench.boot();
      const heard: Heard[] = [];
      const listener = bench.network.listenTcp(at, (stream) => {
        expect(formatEndpoint(stream.remote)).toMatch(/^10\.0\.2\.15:/);
        heard.push(new Heard(stream));
        stream.write(Buffer.from('220 ready'));
      });
      const client = new SocketRecord();
      const address = listener.at.slice(0, listener.at.indexOf(':'));
      const socket = guest.connectTcp(to(address, 8080), client);
      bench.clock.advance(5);
      client.write('HELO');
      bench.clock.advance(5);
      expect(client.text).toBe('220 ready');
      expect(heard[0]?.bytes.toString()).toBe('HELO');
      expect(bench.host.streams).toEqual([]);
      socket.reset();
      listener.close();
      bench.clock.advance(5);
      expect(heard[0]?.events).toEqual(['close reset']);
      guest.connectTcp(to('10.0.2.2', 8081), client);
      bench.clock.advance(5);
      expect(bench.host.streams).toHaveLength(1);
      expect(await bench.close()).toEqual(NOTHING);
    },
  );

  test('what cannot be listened at is said, with the setting; a signal closes it', async () => {
    const { network } = new NetworkBench();
    const listen = (at: string, signal?: AbortSignal) => network.listenTcp(at, () => {}, { signal });
    expect(() => listen('0')).toThrow('listenTcp: port 0 is not within 1 to 65535');
    expect(() => listen('10.0.2.99:80')).toThrow('listenTcp: "10.0.2.99:80" is at no address');
    expect(() => listen('[::1]:80')).toThrow('listenTcp: "[::1]:80" is at no address');
    const abort = new AbortController();
    listen('80', abort.signal);
    expect(() => listen('80')).toThrow('10.0.2.2:80: tcp port 80 is taken');
    abort.abort();
    listen('80').close();
    await network.close();
    expect(() => listen('80')).toThrow('the network is closed');
    await expect(network.connectTcp('80')).rejects.toThrow('the network is closed');
    expect(() => network.openUdp('80', () => {})).toThrow('the network is closed');
  });

  test('a listener that throws is an error event, and the network goes on', async () => {
    const bench = new NetworkBench();
    const errors: string[] = [];
    bench.network.on('error', ({ message }) => errors.push(message));
    const guest = await bench.boot();
    bench.network.listenTcp('80', () => {
      throw new Error('ours');
    });
    bench.network.listenTcp('81', (stream) =>
      stream.listen({
        onData: () => {
          throw new Error('theirs');
        },
      }),
    );
    const client = new SocketRecord();
    guest.connectTcp(to('10.0.2.2', 80), client);
    guest.connectTcp(to('10.0.2.2', 81), client);
    bench.clock.advance(5);
    client.write('x');
    bench.clock.advance(5);
    expect(errors).toEqual(['a callback of a socket threw: ours', 'a callback of a socket threw: theirs']);
  });
});

describe('openUdp', () => {
  test('datagrams both ways, 0 to 65507 bytes, given to the code', async () => {
    const bench = new NetworkBench();
    const guest = await bench.boot();
    const got: [string, Uint8Array][] = [];
    const port = bench.network.openUdp('5000', (data, from) => got.push([from, data]));
    const answers: Uint8Array[] = [];
    const socket = guest.openUdp({ onDatagram: (data) => answers.push(Uint8Array.from(data)) }, 6000);
    for (const length of [0, 1, 1472, 65507]) {
      socket.send(to('10.0.2.2', 5000), pattern(length, length));
      port.send(pattern(7, length), '10.0.2.15:6000');
      bench.clock.advance(5);
    }
    expect(got.map(([from, data]) => [from, data.length])).toEqual(
      [0, 1, 1472, 65507].map((length) => ['10.0.2.15:6000', length]),
    );
    expect(Buffer.from(got[3]![1]).equals(pattern(65507, 65507))).toBe(true);
    expect(answers.map((data) => data.length)).toEqual([0, 1, 1472, 65507]);
    expect(Buffer.from(answers[3]!).equals(pattern(7, 65507))).toBe(true);
    expect(() => port.send(new Uint8Array(65508), '6000')).toThrow(
      'a datagram of 65508 bytes: at most 65507',
    );
    expect(() => bench.network.openUdp('192.0.2.1:5', () => {})).toThrow(
      'openUdp: "192.0.2.1:5" is not at one',
    );
    for (let i = 0; i < 3; i++) port.send(new Uint8Array(1), '10.0.2.88:1');
    bench.clock.advance(3000);
    expect(bench.network.stats().losses).toMatchObject({ NeighbourUnknown: 1, ForwardUnreachable: 3 });
    port.close();
    bench.network.openUdp('5000', () => {}).close();
    expect(await bench.close()).toEqual(NOTHING);
  });
});

describe('flows', () => {
  test('one of them is killed: both sides see a reset', async () => {
    const { bench, server, stream } = await connected();
    const heard = new Heard(stream);
    const [flow] = bench.network.flows();
    expect(bench.network.kill(flow!.id)).toBe(true);
    bench.clock.advance(5);
    expect(heard.events).toEqual(['close reset']);
    expect(server.events).toEqual(['open', 'reset']);
    expect(bench.ended.map(({ reason }) => reason)).toEqual(['killed']);
    expect(bench.network.kill(flow!.id)).toBe(false);
  });
});
