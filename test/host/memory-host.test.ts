// The world in memory, as the engine sees it and as a test does. Whole networks on it: test/testing.

import { beforeEach, describe, expect, test } from 'vitest';
import { formatEndpoint } from '../../src/base/addr.ts';
import type { ByteStream } from '../../src/host/byte-stream.ts';
import type { HostStream } from '../../src/host/host-network.ts';
import { MemoryHost } from '../../src/host/memory-host.ts';
import { FakePorts } from '../support/fake-ports.ts';
import { at, DatagramRecord, StreamRecord, takeBlock } from '../support/host-sink.ts';

let ports: FakePorts;
let host: MemoryHost;
let before: number;

beforeEach(() => {
  ports = new FakePorts();
  before = ports.arena.used;
  host = new MemoryHost();
  host.start(ports);
});

const run = (): void => ports.clock.runSoon();
const bytes = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'latin1'));

/** The engine connects: what it hears. */
function dial(address: string, port: number): { record: StreamRecord; stream: HostStream } {
  const record = new StreamRecord(ports);
  const stream = host.connectTcp(at(address, port), record);
  return { record, stream };
}

/** Writes `text` from a block of the arena, which may only be used again when it is done: true where it is at once. */
function write(stream: HostStream, text: string): boolean {
  const block = takeBlock(ports, 4096);
  ports.arena.memory.bytes.set(bytes(text), block);
  return stream.write(block, text.length);
}

describe('TCP from the engine', () => {
  test('a server gets the connection, bytes go both ways, and both sides end', () => {
    const heard: string[] = [];
    let server: ByteStream | null = null;
    host.serve({ name: 'example.test', port: 80 }, (connection) => {
      server = connection;
      connection.listen({
        onData: (data) => heard.push(Buffer.from(data).toString()),
        onEnd: () => heard.push('end'),
        onClose: (error) => heard.push(`close ${error}`),
      });
      connection.write(bytes('hello'));
    });
    const { record, stream } = dial('192.0.2.10', 80);
    expect(record.events).toEqual([]);
    run();
    expect(record.story).toEqual(['open']);
    stream.resume();
    expect(write(stream, 'ping')).toBe(false);
    run();
    expect({ text: record.text, heard }).toEqual({ text: 'hello', heard: ['ping'] });
    stream.end();
    run();
    server!.end();
    run();
    expect(heard).toEqual(['ping', 'end', 'close null']);
    expect(record.story).toEqual(['open', 'end', 'close null']);
    expect(host.openStreams).toBe(0);
  });

  test('a port without a server is refused, also one that is not served any more', () => {
    const stop = host.serve({ port: 80 }, () => {});
    stop();
    for (const address of ['127.0.0.1', '192.0.2.10']) {
      const { record } = dial(address, 80);
      run();
      expect(record.story).toEqual(['close refused']);
    }
  });

  test('obstacles: unreachable, silent, the latest counts, each can be taken back', () => {
    host.serve({ address: '198.51.100.7', port: 80 }, () => {});
    const outcome = (): string => {
      const { record, stream } = dial('198.51.100.7', 80);
      run();
      const { story } = record;
      stream.reset();
      run();
      return story.join();
    };
    expect(outcome()).toBe('open');
    const reach = host.unreachable('198.51.100.0/24');
    expect(outcome()).toBe('close host-unreachable');
    const speak = host.silent('198.51.100.7');
    expect(outcome()).toBe('');
    speak();
    expect(outcome()).toBe('close host-unreachable');
    reach();
    expect(outcome()).toBe('open');
    host.unreachable('0.0.0.0/0');
    expect(outcome()).toBe('close host-unreachable');
    expect(host.openStreams).toBe(0);
  });

  test('a server that pauses holds the engine back: its bytes stay where they are', () => {
    let server: ByteStream | null = null;
    let heard = '';
    host.serve({ port: 80 }, (connection) => {
      server = connection;
      connection.listen({ onData: (data) => (heard += Buffer.from(data).toString()) });
      connection.pause();
    });
    const { record, stream } = dial('127.0.0.1', 80);
    run();
    expect(write(stream, 'held')).toBe(false);
    run();
    expect({ heard, written: record.events.includes('written') }).toEqual({ heard: '', written: false });
    expect(() => write(stream, 'more')).toThrow('one write at a time');
    server!.resume();
    run();
    expect({ heard, written: record.events.includes('written') }).toEqual({ heard: 'held', written: true });
  });

  test('an engine that does not read holds the server back', () => {
    const said: boolean[] = [];
    let drained = 0;
    host.serve({ port: 80 }, (connection) => {
      connection.listen({ onDrain: () => drained++ });
      for (let i = 0; i < 5; i++) said.push(connection.write(new Uint8Array(65536)));
    });
    const { record, stream } = dial('127.0.0.1', 80);
    run();
    expect(said).toEqual([true, true, true, false, false]);
    expect(record.received).toBe(0);
    stream.resume();
    run();
    expect({ received: record.received, drained }).toEqual({ received: 5 * 65536, drained: 1 });
  });

  test('resets are heard on the other side', () => {
    const heard: string[] = [];
    host.serve({ port: 1 }, (connection) => connection.reset());
    host.serve({ port: 2 }, (connection) =>
      connection.listen({ onClose: (error) => heard.push(`${error}`) }),
    );
    const first = dial('127.0.0.1', 1);
    const second = dial('127.0.0.1', 2);
    run();
    second.stream.reset();
    run();
    expect(first.record.closed).toBe('reset');
    expect({ heard, engine: second.record.closed }).toEqual({ heard: ['reset'], engine: null });
  });

  test('what a server throws resets its connection and is told, and nobody else is harmed', () => {
    const errors: unknown[] = [];
    host.onError = (error) => errors.push(error);
    host.serve({ port: 1 }, () => {
      throw new Error('at once');
    });
    host.serve({ port: 2 }, (connection) =>
      connection.listen({
        onData: () => {
          throw new Error('later');
        },
      }),
    );
    const first = dial('127.0.0.1', 1);
    const second = dial('127.0.0.1', 2);
    run();
    write(second.stream, 'x');
    run();
    expect(errors.map(String)).toEqual(['Error: at once', 'Error: later']);
    expect(first.record.closed).toBe('reset');
  });

  test('without an onError it comes out of the clock', () => {
    host.serve({ port: 1 }, () => {
      throw new Error('nobody listens');
    });
    dial('127.0.0.1', 1);
    expect(run).toThrow('nobody listens');
  });
});

describe('clients of the world outside', () => {
  test('reach what the engine listens to, and are told where it does not', async () => {
    const heard: string[] = [];
    const accepted = new StreamRecord(ports);
    const listener = await host.listenTcp(at('127.0.0.1', 0), (stream, from) => {
      heard.push(`from ${formatEndpoint(from)}`);
      accepted.stream = stream;
      return accepted;
    });
    expect(listener.at.port).toBeGreaterThanOrEqual(49152);
    const { port } = listener.at;
    const client = host.connect(
      { address: '127.0.0.1', port },
      { onOpen: () => heard.push('open'), onData: (data) => heard.push(Buffer.from(data).toString()) },
      { address: '203.0.113.9', port: 4000 },
    );
    client.write(bytes('before the engine reads'));
    run();
    expect(heard).toEqual(['from 203.0.113.9:4000', 'open']);
    // Connected, not yet reading; and never told that it is open.
    expect(accepted.events).toEqual([]);
    accepted.stream!.resume();
    write(accepted.stream!, 'welcome');
    run();
    expect(accepted.text).toBe('before the engine reads');
    expect(heard.at(-1)).toBe('welcome');
    listener.close();
    const closed: string[] = [];
    host.connect({ address: '127.0.0.1', port }, { onClose: (error) => closed.push(`${error}`) });
    run();
    expect(closed).toEqual(['refused']);
  });

  test('a listener of every address takes them all; one that says null resets', async () => {
    await host.listenTcp(at('0.0.0.0', 22), () => null);
    const closed: string[] = [];
    host.connect({ address: '203.0.113.1', port: 22 }, { onClose: (error) => closed.push(`${error}`) });
    run();
    expect(closed).toEqual(['reset']);
    expect(host.openStreams).toBe(0);
  });

  test('a client that gives up before it is taken is never shown', async () => {
    let shown = 0;
    await host.listenTcp(at('127.0.0.1', 22), () => {
      shown++;
      return null;
    });
    host.connect({ address: '127.0.0.1', port: 22 }).reset();
    run();
    expect({ shown, open: host.openStreams }).toEqual({ shown: 0, open: 0 });
  });

  test('a place can be had once, by the engine or by the test', async () => {
    await host.listenTcp(at('127.0.0.1', 22), () => null);
    await host.bindUdp(at('127.0.0.1', 53), new DatagramRecord());
    expect(() => host.serve({ port: 22 }, () => {})).toThrow('tcp 127.0.0.1:22 is taken');
    expect(() => host.serveUdp({ port: 53 }, () => {})).toThrow('udp 127.0.0.1:53 is taken');
    host.serve({ port: 80 }, () => {});
    host.serveUdp({ port: 80 }, () => {});
    for (const bound of [
      host.listenTcp(at('127.0.0.1', 22), () => null),
      host.listenTcp(at('127.0.0.1', 80), () => null),
      host.bindUdp(at('127.0.0.1', 53), new DatagramRecord()),
      host.bindUdp(at('127.0.0.1', 80), new DatagramRecord()),
    ]) {
      await expect(bound).rejects.toMatchObject({ name: 'HostBindError', message: /in use already/ });
    }
  });
});

describe('UDP', () => {
  /** The engine sends `text` from a socket of its own. */
  function send(record: DatagramRecord, text: string, ...to: [string, number][]): boolean[] {
    const socket = host.openUdp(record);
    const block = takeBlock(ports, 4096);
    ports.arena.memory.bytes.set(bytes(text), block);
    const taken = to.map(([address, port]) => socket.send(block, text.length, at(address, port)));
    // Copied: what becomes of the block is no matter.
    ports.arena.memory.bytes.fill(0xee, block, block + 4096);
    return taken;
  }

  test('a server answers from where it was asked, with a copy', () => {
    const answer = bytes('pong');
    host.serveUdp({ address: '192.0.2.77', port: 9 }, ({ data, from, reply }) => {
      expect(formatEndpoint(from)).toMatch(/^192\.0\.2\.1:\d+$/);
      expect(Buffer.from(data).toString()).toBe('ping');
      reply(answer);
      answer.fill(0);
    });
    const record = new DatagramRecord();
    expect(send(record, 'ping', ['192.0.2.77', 9])).toEqual([true]);
    run();
    expect(record.datagrams).toEqual([{ text: 'pong', length: 4, from: at('192.0.2.77', 9) }]);
  });

  test('a closed port is told while there is one remote, as by a real socket', () => {
    const one = new DatagramRecord();
    const two = new DatagramRecord();
    send(one, 'x', ['192.0.2.77', 9]);
    send(two, 'x', ['192.0.2.77', 9], ['192.0.2.78', 9]);
    run();
    expect({ one: one.errors, two: two.errors }).toEqual({ one: ['refused'], two: [] });
  });

  test('what is unreachable ends the socket, what is silent does nothing', () => {
    host.unreachable('192.0.2.77');
    host.silent('192.0.2.78');
    const one = new DatagramRecord();
    const two = new DatagramRecord();
    send(one, 'x', ['192.0.2.77', 9], ['192.0.2.77', 9]);
    send(two, 'x', ['192.0.2.78', 9]);
    run();
    expect({ one: one.errors, two: two.errors }).toEqual({ one: ['host-unreachable'], two: [] });
  });

  test('a queue of 256, then it is full', () => {
    let heard = 0;
    host.serveUdp({ port: 9 }, () => heard++);
    const taken = send(
      new DatagramRecord(),
      'x',
      ...Array.from({ length: 300 }, (): [string, number] => ['127.0.0.1', 9]),
    );
    run();
    expect({ taken: taken.filter((one) => one).length, heard }).toEqual({ taken: 256, heard: 256 });
  });

  test('a client sends to a port of the engine and hears what it answers', async () => {
    const record = new DatagramRecord();
    const bound = await host.bindUdp(at('0.0.0.0', 53), record);
    const heard: string[] = [];
    const client = host.openClientUdp(({ data }) => heard.push(Buffer.from(data).toString()));
    client.send(bytes('query'), '127.0.0.1', 53);
    client.send(bytes('lost'), '127.0.0.1', 54);
    run();
    expect(record.datagrams).toMatchObject([{ text: 'query', from: client.at }]);
    const block = takeBlock(ports, 4096);
    ports.arena.memory.bytes.set(bytes('answer'), block);
    bound.send(block, 6, client.at);
    run();
    expect(heard).toEqual(['answer']);
    bound.close();
    client.send(bytes('too late'), '127.0.0.1', 53);
    run();
    expect(record.datagrams).toHaveLength(1);
    client.close();
    expect(() => client.send(bytes('x'), '127.0.0.1', 53)).toThrow('is closed');
    expect(bound.send(block, 6, client.at)).toBe(false);
  });
});

describe('what cannot be', () => {
  test.each([
    ['port: 0 is not 1 to 65535', () => host.serve({ port: 0 }, () => {})],
    ['port: 65536 is not 1 to 65535', () => host.connect({ address: '127.0.0.1', port: 65536 })],
    ['address: "::1" is not an IPv4 address', () => host.serve({ address: '::1', port: 1 }, () => {})],
    ['name: "a b" is not a domain name', () => host.serve({ name: 'a b', port: 1 }, () => {})],
    ['"example.test" is neither an IPv4 address nor a prefix', () => host.unreachable('example.test')],
    ['"192.0.2.0/33" is neither an IPv4 address nor a prefix', () => host.silent('192.0.2.0/33')],
    ['nameServer: "x" is not an IPv4 address', () => new MemoryHost({ nameServer: 'x' })],
    ['a MemoryHost is the host of one network', () => host.start(ports)],
    ['createNetwork() comes first', () => new MemoryHost().connect({ address: '127.0.0.1', port: 1 })],
    [
      'a datagram of 65508 bytes',
      () => host.openClientUdp(() => {}).send(new Uint8Array(65508), '127.0.0.1', 1),
    ],
  ])('%s', (message, act) => {
    expect(act).toThrow(message);
  });
});

test('a name keeps its address, and each new one gets the next', () => {
  host.serve({ name: 'a.test', port: 80 }, () => {});
  host.serve({ name: 'A.test.', port: 443 }, () => {});
  host.serve({ name: 'b.test', port: 80 }, () => {});
  host.serve({ name: 'c.test', address: '203.0.113.1', port: 80 }, () => {});
  host.addName('c.test', '203.0.113.2');
  expect(host.listNames()).toEqual({
    'a.test': ['192.0.2.10'],
    'b.test': ['192.0.2.11'],
    'c.test': ['203.0.113.1', '203.0.113.2'],
  });
  expect(host.resolvers().map(formatEndpoint)).toEqual(['192.0.2.53:53']);
  expect(new MemoryHost({ nameServer: null }).resolvers()).toEqual([]);
});

test('close() ends everything and gives the arena back what was taken', async () => {
  const closed: string[] = [];
  host.serve({ port: 80 }, (connection) =>
    connection.listen({ onClose: (error) => closed.push(`${error}`) }),
  );
  const listener = await host.listenTcp(at('127.0.0.1', 22), () => null);
  const socket = await host.bindUdp(at('127.0.0.1', 53), new DatagramRecord());
  const { record } = dial('127.0.0.1', 80);
  run();
  expect(ports.arena.used).toBeGreaterThan(before);
  await host.close();
  await host.close();
  run();
  expect({ closed, engine: record.closed, open: host.openStreams }).toEqual({
    ...{ closed: ['reset'], engine: null, open: 0 },
  });
  expect(ports.arena.used).toBe(before);
  listener.close();
  socket.close();
  host.connect({ address: '127.0.0.1', port: 22 }, { onClose: (error) => closed.push(`${error}`) });
  run();
  expect(closed).toEqual(['reset', 'refused']);
});
