import type { Socket } from 'node:dgram';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { afterEach, describe, expect, test } from 'vitest';
import type { Endpoint } from '../../src/base/addr.ts';
import { formatEndpoint } from '../../src/base/addr.ts';
import type { HostDatagrams } from '../../src/host/host-network.ts';
import { NodeClock } from '../../src/node/clock.ts';
import { DescriptorBudget } from '../../src/node/descriptors.ts';
import { NodeHost, type NodeHostOptions } from '../../src/node/host-sockets.ts';
import { at, DatagramRecord, takeBlock } from '../support/host-sink.ts';
import { newHost, pattern } from '../support/link-bench.ts';
import { SeededRandom } from '../support/seeded-random.ts';

const cleanups: (() => unknown)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

function bench(options: NodeHostOptions = {}) {
  const context = newHost(new NodeClock());
  const host = new NodeHost(options);
  host.start(context);
  cleanups.push(() => host.close());
  const off = takeBlock(context, 65536);
  /** Sends bytes that are overwritten right after, as the engine does. */
  const send = (socket: HostDatagrams, data: string | Buffer, to: Endpoint): boolean => {
    const bytes = Buffer.from(data as string);
    context.arena.memory.bytes.set(bytes, off);
    const sent = socket.send(off, bytes.length, to);
    context.arena.memory.bytes.fill(0xdd, off, off + bytes.length);
    return sent;
  };
  const open = (): { socket: HostDatagrams; record: DatagramRecord } => {
    const record = new DatagramRecord();
    return { socket: host.openUdp(record), record };
  };
  return { context, host, off, send, open };
}

/** A server that answers each datagram with its name and what it got. */
async function echo(name: string): Promise<Endpoint & { socket: Socket; clients: Set<string> }> {
  const socket = createSocket('udp4');
  const clients = new Set<string>();
  socket.on('message', (data, from) => {
    clients.add(`${from.address}:${from.port}`);
    socket.send(Buffer.concat([Buffer.from(name), data]), from.port, from.address);
  });
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  cleanups.push(() => new Promise<void>((resolve) => socket.close(() => resolve())));
  return { ...at('127.0.0.1', socket.address().port), socket, clients };
}

describe('UDP through Node: one socket of a flow', () => {
  test('asks and is answered, with the address that the answer came from', async () => {
    const { send, open } = bench();
    const server = await echo('a:');
    const { socket, record } = open();
    expect(send(socket, 'hello', server)).toBe(true);
    expect(record.datagrams).toEqual([]);
    await record.until(() => record.datagrams.length === 1);
    expect(record.datagrams[0]!.text).toBe('a:hello');
    expect(formatEndpoint(record.datagrams[0]!.from)).toBe(`127.0.0.1:${server.port}`);
    expect(record.errors).toEqual([]);
  });

  test('0 to 65507 bytes, both ways', async () => {
    const { send, open } = bench();
    const server = await echo('');
    const { socket, record } = open();
    const lengths = [0, 1, 1472, 4000, 65507];
    for (const [i, length] of lengths.entries()) {
      expect(send(socket, pattern(1, length), server)).toBe(true);
      await record.until(() => record.datagrams.length === i + 1);
      expect(record.datagrams[i]!.length).toBe(length);
    }
  });

  test('RFC 4787 4.1: one port toward all remotes, kept when the second one comes', async () => {
    const { send, open } = bench();
    const servers = [await echo('a:'), await echo('b:'), await echo('c:')];
    const { socket, record } = open();
    for (let i = 0; i < 9; i++) {
      send(socket, `${i}`, servers[i % 3]!);
      await record.until(() => record.datagrams.length === i + 1);
    }
    expect(record.datagrams.map((d) => d.text)).toEqual(
      [...'012345678'].map((d, i) => `${'abc'[i % 3]}:${d}`),
    );
    const clients = new Set(servers.flatMap((server) => [...server.clients]));
    expect(clients.size).toBe(1);
  });

  test("a closed port: 'refused', while it is the only remote; the socket lives on", async () => {
    const { send, open } = bench();
    const server = await echo('a:');
    const closed = await echo('gone');
    cleanups.pop();
    await new Promise<void>((resolve) => closed.socket.close(() => resolve()));
    const { socket, record } = open();
    send(socket, 'x', closed);
    await record.until(() => record.errors.length === 1);
    expect(record.errors).toEqual(['refused']);
    send(socket, 'y', server);
    await record.until(() => record.datagrams.length === 1);
    expect(record.datagrams[0]!.text).toBe('a:y');
    expect(record.errors).toEqual(['refused']);
  });

  test.each([2, 3, 4, 5])("%d datagrams in a turn to a closed port: 'refused' is heard of", async (count) => {
    const { context, send, open } = bench();
    const closed = await echo('gone');
    cleanups.pop();
    await new Promise<void>((resolve) => closed.socket.close(() => resolve()));
    const { socket, record } = open();
    for (let round = 0; round < 3; round++) {
      record.errors.length = 0;
      context.turn.run(() => {
        for (let i = 0; i < count; i++) send(socket, 'x', closed);
      });
      await record.until(() => record.errors.length > 0);
      expect(new Set(record.errors)).toEqual(new Set(['refused']));
    }
  });

  test('ports come from the random generator; one that is taken is passed over', async () => {
    const first = bench({ random: new SeededRandom(5) });
    const second = bench({ random: new SeededRandom(5) });
    const server = await echo('');
    const a = first.open();
    const b = second.open();
    first.send(a.socket, 'a', server);
    second.send(b.socket, 'b', server);
    await b.record.until(() => b.record.datagrams.length === 1);
    await a.record.until(() => a.record.datagrams.length === 1);
    const ports = [...server.clients].map((client) => Number(client.split(':')[1]));
    const expected = new SeededRandom(5);
    expect(ports).toEqual([
      32768 + ((expected.word() >>> 0) % 28232),
      32768 + ((expected.word() >>> 0) % 28232),
    ]);
  });

  test("an address without a route ends it: onError, later, not 'failed'", async () => {
    const { send, open } = bench();
    const { socket, record } = open();
    send(socket, 'x', at('255.255.255.255', 9));
    expect(record.errors).toEqual([]);
    await record.until(() => record.errors.length > 0);
    expect(['not-permitted', 'net-unreachable']).toContain(record.errors[0]);
    expect(send(socket, 'x', at('127.0.0.1', 9))).toBe(false);
  });

  test('RFC 4787 4.1: of several remotes one cannot be reached: the mapping of the others lives on', async () => {
    const { send, open } = bench();
    const [a, b] = [await echo('a:'), await echo('b:')];
    const { socket, record } = open();
    send(socket, '1', a);
    send(socket, '2', b);
    await record.until(() => record.datagrams.length === 2);
    // A broadcast address: EACCES.
    send(socket, 'x', at('127.255.255.255', 9));
    send(socket, '3', a);
    await record.until(() => record.datagrams.length === 3);
    expect(record.datagrams[2]!.text).toBe('a:3');
    expect([...a.clients]).toEqual([...b.clients]);
    expect(record.errors).toEqual([]);
  });

  test('datagrams that the kernel does not take: bounded in number, and no more memory than their own', async () => {
    const { host, send, open } = bench();
    const server = await echo('');
    const { socket, record } = open();
    send(socket, 'x', server);
    await record.until(() => record.datagrams.length === 1);
    // A kernel that is full, as it is toward an address of the host's network that nobody has.
    const raw = (socket as unknown as { socket: Socket }).socket;
    const kept: Buffer[] = [];
    raw.send = (data: unknown) => void kept.push(data as Buffer);
    raw.getSendQueueCount = () => kept.length;
    raw.getSendQueueSize = () => kept.reduce((sum, data) => sum + data.length, 0);
    let sent = 0;
    while (sent < 10_000 && send(socket, String.fromCharCode(65 + (sent % 26)), server)) sent++;
    expect(sent).toBe(256);
    expect(kept.map((data) => data.toString()).join('')).toBe(
      Array.from({ length: 256 }, (_, i) => String.fromCharCode(65 + (i % 26))).join(''),
    );
    // The first lies in the arena, where all that is sent does; what comes behind it, in memory of its own.
    const memory = new Set(kept.slice(1).map((data) => data.buffer));
    expect(memory.has(kept[0]!.buffer)).toBe(false);
    let bytes = 0;
    for (const buffer of memory) bytes += buffer.byteLength;
    expect(bytes).toBeLessThan(4 * 65536);
    await host.close();
  });

  test("no descriptor left: 'exhausted', later; it is free again once a socket is closed", async () => {
    const { send, open } = bench({ descriptors: new DescriptorBudget(1) });
    const server = await echo('');
    const first = open();
    const second = open();
    send(first.socket, 'x', server);
    expect(send(second.socket, 'x', server)).toBe(true);
    expect(second.record.errors).toEqual([]);
    await second.record.until(() => second.record.errors.length === 1);
    expect(second.record.errors).toEqual(['exhausted']);
    first.socket.close();
    first.socket.close();
    await new Promise((resolve) => setImmediate(resolve));
    const third = open();
    send(third.socket, 'z', server);
    await third.record.until(() => third.record.datagrams.length === 1);
  });

  test('close(): no event after it', async () => {
    const { send, open } = bench();
    const server = await echo('');
    const { socket, record } = open();
    send(socket, 'x', server);
    socket.close();
    expect(send(socket, 'x', server)).toBe(false);
    for (let i = 0; i < 10; i++) await new Promise((resolve) => setImmediate(resolve));
    expect(record.datagrams).toEqual([]);
    expect(record.errors).toEqual([]);
  });

  test('200 datagrams in one go, the arena overwritten at once: those that arrive are whole and in order', async () => {
    const { send, open } = bench();
    const server = createSocket({ type: 'udp4', recvBufferSize: 4 << 20 });
    const got: Buffer[] = [];
    server.on('message', (data) => got.push(data));
    server.bind(0, '127.0.0.1');
    await once(server, 'listening');
    const { socket } = open();
    const to = at('127.0.0.1', server.address().port);
    for (let i = 0; i < 200; i++) send(socket, pattern(i, 1000), to);
    for (let i = 0; i < 50; i++) await new Promise((resolve) => setImmediate(resolve));
    server.close();
    expect(got.length).toBeGreaterThan(50);
    let seed = 0;
    for (const data of got) {
      while (seed < 200 && !data.equals(pattern(seed, 1000))) seed++;
      expect(seed++).toBeLessThan(200);
    }
  });
});

describe('UDP through Node: a socket bound for a forward', () => {
  test('gets datagrams of many clients and answers each', async () => {
    const { host, send } = bench();
    const record = new DatagramRecord();
    const probe = await echo('');
    cleanups.pop();
    await new Promise<void>((resolve) => probe.socket.close(() => resolve()));
    const socket = await host.bindUdp(at('127.0.0.1', probe.port), record);
    const clients = await Promise.all([1, 2, 3].map(() => echo('')));
    for (const [i, client] of clients.entries()) client.socket.send(`from ${i}`, probe.port, '127.0.0.1');
    await record.until(() => record.datagrams.length === 3);
    const replies = clients.map((client) => once(client.socket, 'message'));
    for (const { text, from } of record.datagrams) expect(send(socket, `re: ${text}`, from)).toBe(true);
    const texts = (await Promise.all(replies)).map(([data]) => String(data));
    expect(texts).toEqual(['re: from 0', 're: from 1', 're: from 2']);
  });

  test('a client that cannot be reached does not end it for the others', async () => {
    const { host, send } = bench();
    const record = new DatagramRecord();
    const socket = await host.bindUdp(at('127.0.0.1', 0), record);
    const client = await echo('');
    send(socket, 'x', at('127.255.255.255', 9));
    for (let i = 0; i < 10; i++) await new Promise((resolve) => setImmediate(resolve));
    expect(send(socket, 'y', client)).toBe(true);
    await record.until(() => record.datagrams.length === 1);
    expect(record.datagrams[0]!.text).toBe('y');
    expect(record.errors).toEqual([]);
  });

  test('a port that is taken: one line that names the address', async () => {
    const { host } = bench();
    const server = await echo('');
    const error = await host.bindUdp(server, new DatagramRecord()).catch((e: Error) => e);
    expect(error).toMatchObject({ name: 'HostBindError' });
    expect((error as Error).message).toMatch(new RegExp(`^127\\.0\\.0\\.1:${server.port}: .*EADDRINUSE`));
  });
});
