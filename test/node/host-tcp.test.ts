import { createHash } from 'node:crypto';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { connect } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import type { HostStream } from '../../src/host/host-network.ts';
import { NodeClock } from '../../src/node/clock.ts';
import { DescriptorBudget } from '../../src/node/descriptors.ts';
import { bench, closeAll, rounds, serve } from '../support/host-bench.ts';
import { at, readAll, StreamRecord } from '../support/host-sink.ts';

import { newHost, pattern } from '../support/link-bench.ts';

/** Writes all of `data` through [off, off+size), which is overwritten as soon as write() or onWritten says it is free. */
function pump(
  record: StreamRecord,
  bytes: Buffer,
  off: number,
  size: number,
  data: (i: number) => Buffer,
  n: number,
) {
  let i = 0;
  const counts = { atOnce: 0, later: 0 };
  const go = (): void => {
    while (i < n) {
      const chunk = data(i++);
      bytes.set(chunk, off);
      const free = record.stream!.write(off, chunk.length);
      if (!free) {
        counts.later++;
        return;
      }
      counts.atOnce++;
      bytes.fill(0xdd, off, off + size);
    }
    record.stream!.end();
  };
  record.onWrite = () => {
    bytes.fill(0xdd, off, off + size);
    go();
  };
  go();
  return counts;
}

afterEach(closeAll);

describe('TCP through Node: connecting', () => {
  test('onOpen comes later, data both ways, half-close both ways, one onClose with null', async () => {
    const { dial, context, block } = bench();
    const to = await serve(async (socket) => {
      socket.write('welcome');
      const all = await readAll(socket);
      socket.end(`got ${all.length}`);
    });
    const record = dial(to);
    expect(record.events).toEqual([]);
    await record.until(() => record.events.includes('open'));
    record.stream!.resume();
    await record.until(() => record.text === 'welcome');
    const off = block(4096);
    context.arena.memory.bytes.set(Buffer.from('hello'), off);
    expect(record.stream!.write(off, 5)).toBe(true);
    record.stream!.end();
    await record.until(() => record.closed !== 'open');
    expect(record.text).toBe('welcomegot 5');
    expect(record.story).toEqual(['open', 'end', 'close null']);
  });

  test('a closed port is refused, without onOpen', async () => {
    const { dial } = bench();
    const to = await serve(() => {});
    to.server.close();
    await once(to.server, 'close');
    const record = dial(to);
    await record.until(() => record.closed !== 'open');
    expect(record.story).toEqual(['close refused']);
  });

  test('an address that no route leads to: unreachable', async () => {
    const { dial } = bench();
    const record = dial(at('255.255.255.255', 9));
    await record.until(() => record.closed !== 'open');
    expect(['net-unreachable', 'host-unreachable', 'not-permitted']).toContain(record.closed);
    expect(record.story.length).toBe(1);
  });

  test('reset() while connecting: only onClose(null) follows', async () => {
    const { dial } = bench();
    const record = dial(await serve(() => {}));
    record.stream!.reset();
    expect(record.events).toEqual([]);
    await record.until(() => record.closed !== 'open');
    expect(record.events).toEqual(['close null']);
  });

  test("no descriptor left: onClose('exhausted'), later", async () => {
    const { dial } = bench({ descriptors: new DescriptorBudget(1) });
    const to = await serve(() => {});
    const first = dial(to);
    const second = dial(to);
    expect(second.events).toEqual([]);
    await second.until(() => second.closed !== 'open');
    expect(second.story).toEqual(['close exhausted']);
    first.stream!.reset();
    await first.until(() => first.closed !== 'open');
    const third = dial(to);
    await third.until(() => third.events.includes('open'));
  });
});

describe('TCP through Node: reading', () => {
  test('not a byte is read before resume(), and nothing is lost meanwhile', async () => {
    const { dial } = bench();
    let server: Socket | null = null;
    const to = await serve((socket) => {
      server = socket;
      socket.end(Buffer.alloc(200_000, 'x'));
    });
    const record = dial(to);
    await record.until(() => record.events.includes('open'));
    // Another connection that is served completely proves that the first had its chance.
    const other = dial(to);
    await other.until(() => other.events.includes('open'));
    other.stream!.resume();
    await other.until(() => other.events.includes('end'));
    expect(record.received).toBe(0);
    record.stream!.resume();
    await record.until(() => record.events.includes('end'));
    expect(record.received).toBe(200_000);
    expect(server).not.toBe(null);
  });

  test('back-pressure: after onRead returned false nothing is read until resume(); the rest comes whole', async () => {
    const { dial } = bench();
    const data = pattern(3, 3 << 20);
    const to = await serve((socket) => socket.end(data));
    const record = dial(to);
    record.wantMore = () => false;
    await record.until(() => record.events.includes('open'));
    let reads = 0;
    while (!record.events.includes('end')) {
      record.stream!.resume();
      const before = record.events.length;
      await record.until(() => record.events.length > before);
      // Every turn of the event loop would read on, if the socket were not stopped.
      await rounds(3);
      expect(record.events.length).toBe(before + 1);
      reads++;
    }
    expect(reads).toBeGreaterThan(40);
    expect(Buffer.concat(record.chunks).equals(data)).toBe(true);
  });

  test('resume() in the turn of the read that returned false reads on', async () => {
    const { dial, context } = bench();
    const data = pattern(4, 1 << 20);
    const record = dial(await serve((socket) => socket.end(data)));
    record.wantMore = () => false;
    record.onEach = () => context.turn.wantEgress({ runEgress: () => record.stream!.resume() });
    await record.until(() => record.events.includes('open'));
    record.stream!.resume();
    await record.until(() => record.events.includes('end'));
    expect(Buffer.concat(record.chunks).equals(data)).toBe(true);
  });

  test('pause() stops after the read that is under way', async () => {
    const { dial } = bench();
    const data = pattern(5, 1 << 20);
    const record = dial(await serve((socket) => socket.end(data)));
    await record.until(() => record.events.includes('open'));
    record.onEach = () => record.stream!.pause();
    record.stream!.resume();
    await record.until(() => record.received > 0);
    await rounds(20);
    expect(record.events.filter((event) => event === 'read').length).toBeLessThanOrEqual(2);
    record.onEach = () => {};
    record.stream!.resume();
    await record.until(() => record.events.includes('end'));
    expect(Buffer.concat(record.chunks).equals(data)).toBe(true);
  });

  test('a place of its own is read into; the pad takes what comes where there is none', async () => {
    const { dial, block } = bench();
    const data = pattern(6, 2 << 20);
    const record = dial(await serve((socket) => socket.end(data)));
    const home = block(1 << 18);
    let n = 0;
    record.onEach = () => {
      n++;
      record.place.off = home + ((n * 4096) % 65536);
      record.place.len = n % 3 === 0 ? 0 : 1000 + n * 512;
    };
    await record.until(() => record.events.includes('open'));
    record.stream!.resume();
    await record.until(() => record.events.includes('end'));
    expect(record.inPlace).toBeGreaterThan(100_000);
    expect(record.onPad).toBeGreaterThan(100_000);
    expect(Buffer.concat(record.chunks).equals(data)).toBe(true);
  });

  test('one pad serves them all: 40 flows at once, all bytes where they belong', async () => {
    const { dial } = bench();
    const to = await serve((socket) => {
      socket.once('data', (which) => {
        const seed = which[0]!;
        let i = 0;
        const go = (): void => {
          while (i < 60) if (!socket.write(pattern(seed + i++, 20_000 + seed * 11))) return;
          socket.end();
        };
        socket.on('drain', go);
        go();
      });
    });
    const { context, host, block } = bench();
    const letter = block(4096);
    const records = Array.from({ length: 40 }, () => new StreamRecord(context));
    for (const record of records) {
      record.keepChunks = false;
      record.stream = host.connectTcp(to, record);
    }
    for (const [i, record] of records.entries()) {
      await record.until(() => record.events.includes('open'));
      context.arena.memory.bytes[letter] = i;
      expect(record.stream!.write(letter, 1)).toBe(true);
      record.stream!.resume();
    }
    for (const [seed, record] of records.entries()) {
      await record.until(() => record.events.includes('end'));
      const expected = createHash('sha256');
      for (let i = 0; i < 60; i++) expected.update(pattern(seed + i, 20_000 + seed * 11));
      expect(record.digest.digest('hex')).toBe(expected.digest('hex'));
      expect(record.inPlace).toBe(0);
    }
    expect(dial).toBeDefined();
  });
});

describe('TCP through Node: writing', () => {
  test('a region is free when write() or onWritten says so: 112 MiB through a slow reader, overwritten at once', async () => {
    const { dial, context, block } = bench();
    const size = 1 << 18;
    const n = 512;
    const source = pattern(8, size + n);
    const got = createHash('sha256');
    let received = 0;
    const to = await serve((socket) => {
      socket.on('data', (chunk) => {
        got.update(chunk);
        const before = received;
        received += chunk.length;
        // Slow: stops for a few rounds of the event loop at every 256 KiB.
        if (before >> 18 === received >> 18) return;
        socket.pause();
        void rounds(20).then(() => socket.resume());
      });
      socket.on('end', () => socket.end());
    });
    const record = dial(to);
    record.stream!.resume();
    await record.until(() => record.events.includes('open'));
    const off = block(size);
    const data = (i: number): Buffer => source.subarray(i, i + (i % 8 === 0 ? 3000 + i : size));
    const counts = pump(record, context.arena.memory.bytes as Buffer, off, size, data, n);
    await record.until(() => record.closed !== 'open');
    const expected = createHash('sha256');
    let sent = 0;
    for (let i = 0; i < n; i++) {
      expected.update(data(i));
      sent += data(i).length;
    }
    expect(received).toBe(sent);
    expect(got.digest('hex')).toBe(expected.digest('hex'));
    // Both ways to be done were taken.
    expect(counts.atOnce).toBeGreaterThan(10);
    expect(counts.later).toBeGreaterThan(10);
  });

  test('reset() with bytes pending and a region in use: the remote sees a reset, onClose(null) follows', async () => {
    const { dial, block } = bench();
    const to = await serve(() => {}, { pauseOnConnect: true });
    const record = dial(to);
    await record.until(() => record.events.includes('open'));
    const off = block(4 << 20);
    expect(record.stream!.write(off, 4 << 20)).toBe(false);
    const socket = await to.first;
    record.stream!.reset();
    expect(record.story).toEqual(['open']);
    await record.until(() => record.closed !== 'open');
    expect(record.events).toEqual(['open', 'close null']);
    let end = '';
    socket.on('error', (error) => {
      end = (error as NodeJS.ErrnoException).code ?? '';
    });
    socket.on('end', () => {
      end ||= socket.remoteAddress === undefined ? 'reset' : 'FIN';
    });
    socket.resume();
    while (end === '') await new Promise((resolve) => setImmediate(resolve));
    expect(end).toMatch(/^(reset|ECONNRESET)$/);
  });

  test('reset() right after end(), while the FIN is under way, still ends the socket', async () => {
    const { dial } = bench();
    const to = await serve(() => {});
    for (let i = 0; i < 20; i++) {
      const record = dial(to);
      await record.until(() => record.events.includes('open'));
      record.stream!.end();
      if (i % 2 === 1) await Promise.resolve();
      if (i % 4 > 1) await new Promise((resolve) => process.nextTick(resolve));
      record.stream!.reset();
      await record.until(() => record.closed !== 'open');
      expect(record.story).toEqual(['open', 'close null']);
    }
  });

  test('a remote that is gone: the write ends the stream with reset', async () => {
    const { dial, block } = bench();
    const to = await serve(() => {});
    const record = dial(to);
    await record.until(() => record.events.includes('open'));
    const socket = await to.first;
    socket.resetAndDestroy();
    await once(socket, 'close');
    const off = block(65536);
    record.stream!.write(off, 65536);
    await record.until(() => record.closed !== 'open');
    expect(record.story).toEqual(['open', 'close reset']);
  });
});

for (const takeOver of [true, false]) {
  describe(`TCP through Node: listening, ${takeOver ? 'reading in place' : "with 'data' events"}`, () => {
    async function listen() {
      const { host, context, block } = bench({ takeOver });
      const records: StreamRecord[] = [];
      let wake = (): void => {};
      const listener = await host.listenTcp(at('127.0.0.1', 0), (stream: HostStream, from) => {
        const record = new StreamRecord(context);
        record.stream = stream;
        record.events.push(`from ${from.addr.w3 >>> 24}`);
        records.push(record);
        wake();
        return record;
      });
      const accepted = async (n: number): Promise<StreamRecord> => {
        while (records.length < n)
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
        return records[n - 1]!;
      };
      return { host, context, block, listener, accepted };
    }

    test('not a byte is read before resume(), nothing is lost, half-close both ways', async () => {
      const { listener, accepted, context, block } = await listen();
      expect(listener.at.port).toBeGreaterThan(0);
      const data = pattern(9, 1 << 20);
      const client = connect({ port: listener.at.port, host: '127.0.0.1', allowHalfOpen: true });
      client.end(data);
      const record = await accepted(1);
      await rounds(20);
      expect(record.events).toEqual(['from 127']);
      const home = block(65536);
      record.onEach = () => {
        record.place.off = home;
        record.place.len = 5000;
      };
      record.stream!.resume();
      await record.until(() => record.events.includes('end'));
      expect(Buffer.concat(record.chunks).equals(data)).toBe(true);
      expect(record.inPlace).toBeGreaterThan(0);
      const off = block(4096);
      context.arena.memory.bytes.set(Buffer.from('bye'), off);
      record.stream!.write(off, 3);
      record.stream!.end();
      expect((await readAll(client)).toString()).toBe('bye');
      await record.until(() => record.closed !== 'open');
      expect(record.closed).toBe(null);
    });

    test('back-pressure: one read for each resume()', async () => {
      const { listener, accepted } = await listen();
      const data = pattern(10, 600_000);
      const client = connect(listener.at.port, '127.0.0.1').on('error', () => {});
      client.end(data);
      const record = await accepted(1);
      record.place.off = 0;
      record.wantMore = () => false;
      while (!record.events.includes('end')) {
        record.stream!.resume();
        const before = record.events.length;
        await record.until(() => record.events.length > before);
        await rounds(3);
        // Without takeOver() Node reads ahead and knows of the FIN while it is paused.
        const eager = !takeOver && record.events.includes('end') ? 2 : 1;
        expect(record.events.length).toBeLessThanOrEqual(before + eager);
      }
      expect(Buffer.concat(record.chunks).equals(data)).toBe(true);
    });

    test('reset() reaches the client as a reset', async () => {
      const { listener, accepted } = await listen();
      const client = connect(listener.at.port, '127.0.0.1');
      const failed = once(client, 'error');
      const record = await accepted(1);
      record.stream!.reset();
      expect(((await failed)[0] as NodeJS.ErrnoException).code).toBe('ECONNRESET');
      await record.until(() => record.closed !== 'open');
      expect(record.closed).toBe(null);
    });

    test('close() of the host ends listeners and streams', async () => {
      const { host, listener, accepted } = await listen();
      const client = connect(listener.at.port, '127.0.0.1');
      client.on('error', () => {});
      const record = await accepted(1);
      await host.close();
      expect(record.closed).toBe(null);
      const late = connect(listener.at.port, '127.0.0.1');
      expect(((await once(late, 'error'))[0] as NodeJS.ErrnoException).code).toBe('ECONNREFUSED');
    });
  });
}

describe('TCP through Node: listening', () => {
  test('onAccept that returns null, and no descriptor: the client sees a reset', async () => {
    const { host } = bench({ descriptors: new DescriptorBudget(2) });
    let n = 0;
    const listener = await host.listenTcp(at('127.0.0.1', 0), (stream) => {
      expect(stream).toBeDefined();
      n++;
      return n === 1 ? null : new StreamRecord(newHost(new NodeClock()));
    });
    const first = connect(listener.at.port, '127.0.0.1');
    expect(((await once(first, 'error'))[0] as NodeJS.ErrnoException).code).toBe('ECONNRESET');
    const second = connect(listener.at.port, '127.0.0.1');
    second.on('error', () => {});
    while (n < 2) await new Promise((resolve) => setImmediate(resolve));
    const third = connect(listener.at.port, '127.0.0.1');
    expect(((await once(third, 'error'))[0] as NodeJS.ErrnoException).code).toBe('ECONNRESET');
    expect(n).toBe(2);
    second.destroy();
  });

  test('a port that is taken: one line that names the address', async () => {
    const { host } = bench();
    const to = await serve(() => {});
    const error = await host.listenTcp(to, () => null).catch((e: Error) => e);
    expect(error).toMatchObject({ name: 'HostBindError' });
    expect((error as Error).message).toMatch(new RegExp(`^127\\.0\\.0\\.1:${to.port}: .*EADDRINUSE`));
  });
});
