// Code of the embedder at awkward moments: it listens late, ends a flow in the event that tells of it, closes twice, throws
// where nobody waits for it, and closes the network while something is under way.

import { describe, expect, test } from 'vitest';
import type { ByteStream } from '../../src/host/byte-stream.ts';
import type { NetworkConfig } from '../../src/network/config.ts';
import { NetworkBench, SocketRecord, to } from '../support/guest-bench.ts';

const NOTHING = { flows: 0, timers: 0, arena: 0 };

/** Lets promises settle, a handful deep. */
async function breath(): Promise<void> {
  for (let i = 0; i < 8; i++) await null;
}

async function booted(config: NetworkConfig = {}) {
  const errors: string[] = [];
  const bench = new NetworkBench(config, { error: ({ message }) => void errors.push(message) });
  return { bench, guest: await bench.boot(), errors };
}

async function connected(bench: NetworkBench, port: number): Promise<ByteStream> {
  const stream = bench.network.connectTcp(String(port));
  bench.clock.advance(50);
  return stream;
}

describe('what a guest says before anybody listens', () => {
  test('its first bytes wait for listen(), however late that is', async () => {
    const { bench, guest } = await booted();
    guest.listenTcp(22, (socket) => {
      socket.write(Buffer.from('SSH-2.0\r\n'));
      return {};
    });
    const stream = await connected(bench, 22);
    bench.clock.advance(1000);
    const got: Uint8Array[] = [];
    stream.listen({ onData: (data) => void got.push(data) });
    bench.clock.advance(1);
    expect(`${Buffer.concat(got)}`).toBe('SSH-2.0\r\n');
  });

  test('and so do its FIN and its reset', async () => {
    const { bench, guest } = await booted();
    guest.listenTcp(80, (socket) => {
      socket.end();
      return {};
    });
    let socket: { reset(): void } | null = null;
    guest.listenTcp(81, (opened) => {
      socket = opened;
      return {};
    });
    const [ended, reset] = [await connected(bench, 80), await connected(bench, 81)];
    socket!.reset();
    bench.clock.advance(1000);
    const heard: string[] = [];
    ended.listen({ onEnd: () => heard.push('end') });
    reset.listen({ onClose: (error) => heard.push(`close ${error}`) });
    bench.clock.advance(1);
    expect(heard).toEqual(['end', 'close reset']);
  });
});

describe('kill() in the event that tells of the flow', () => {
  const opened = {
    'a connection to the host': (bench: NetworkBench) =>
      void bench.guests[0]!.connectTcp(to('192.0.2.9', 80), new SocketRecord()),
    'a datagram to the host': (bench: NetworkBench) =>
      void bench.guests[0]!.openUdp({}).send(to('192.0.2.9', 80), new Uint8Array(5)),
    'a connection of code': (bench: NetworkBench) => void bench.network.connectTcp('80').catch(() => {}),
    'a connection to code': (bench: NetworkBench) => {
      bench.network.listenTcp('80', () => {});
      bench.guests[0]!.connectTcp(to('10.0.2.2', 80), new SocketRecord());
    },
  };

  test.each(Object.entries(opened))('%s: nothing of it stays, at the host neither', async (_, open) => {
    const { bench, guest, errors } = await booted({ limits: { pendingConnects: 1 } });
    guest.listenTcp(80, () => ({}));
    const told: string[] = [];
    const ends = bench.network.on(
      'flow-open',
      ({ id, kind }) => void told.push(kind, `${bench.network.kill(id)}`),
    );
    open(bench);
    bench.clock.advance(100);
    await breath();
    expect(told.slice(1)).toEqual(['true']);
    expect(bench.ended.map(({ reason }) => reason)).toEqual(['killed']);
    expect(bench.host.streams.filter(({ state }) => state !== 'closed')).toEqual([]);
    expect(bench.network.stats().flows).toMatchObject({ tcp: 0, udp: 0 });
    expect(errors).toEqual([]);
    // The one connection that may wait for the host is not taken by it.
    ends();
    const next = new SocketRecord();
    guest.connectTcp(to('192.0.2.8', 80), next);
    bench.clock.advance(5);
    bench.host.streams.at(-1)!.open();
    bench.clock.advance(5);
    expect(next.events).toEqual(['open']);
    expect(await bench.close()).toEqual(NOTHING);
  });

  test('close() of the network there: the connection to the host is reset', async () => {
    const { bench, guest } = await booted();
    bench.network.on('flow-open', () => void bench.network.close());
    guest.connectTcp(to('192.0.2.9', 80), new SocketRecord());
    bench.clock.advance(100);
    await breath();
    expect(bench.host.streams.map(({ wasReset }) => wasReset)).toEqual([true]);
  });
});

describe('endings', () => {
  test('reset() towards a guest that does not read: it hears of it within half a minute', async () => {
    const { bench, guest } = await booted();
    const server = new SocketRecord();
    server.reads = false;
    guest.listenTcp(80, (socket) => {
      server.socket = socket;
      return server;
    });
    const stream = await connected(bench, 80);
    stream.write(new Uint8Array(4 << 20));
    bench.clock.advance(2000);
    stream.reset();
    bench.clock.advance(29_000);
    expect(server.events).toEqual(['open']);
    bench.clock.advance(2000);
    expect(server.events).toEqual(['open', 'reset']);
    expect(await bench.close()).toEqual(NOTHING);
  });

  test('one that reads gets what it was being sent first', async () => {
    const { bench, guest } = await booted();
    const server = new SocketRecord();
    guest.listenTcp(80, (socket) => {
      server.socket = socket;
      return server;
    });
    const stream = await connected(bench, 80);
    stream.write(Buffer.from('last words'));
    bench.clock.advance(1);
    stream.reset();
    bench.clock.advance(100);
    expect([server.text, ...server.events]).toEqual(['last words', 'open', 'reset']);
  });

  test('a second close() does not take the place from whoever has it now', async () => {
    const { bench, guest } = await booted();
    const old = [bench.network.listenTcp('80', () => {}), bench.network.openUdp('90', () => {})];
    for (const each of old) each.close();
    const got: string[] = [];
    bench.network.listenTcp('80', () => void got.push('tcp'));
    bench.network.openUdp('90', () => void got.push('udp'));
    for (const each of old) each.close();
    guest.connectTcp(to('10.0.2.2', 80), new SocketRecord());
    guest.openUdp({}).send(to('10.0.2.2', 90), new Uint8Array(1));
    bench.clock.advance(50);
    expect(got.sort()).toEqual(['tcp', 'udp']);
  });

  test('a closed UDP port sends nothing', async () => {
    const { bench } = await booted();
    const port = bench.network.openUdp('90', () => {});
    port.close();
    const { framesOut } = bench.network.stats().links[0]!;
    port.send(new Uint8Array(1), '10.0.2.15:9');
    bench.clock.advance(10);
    expect(bench.network.stats().links[0]!.framesOut).toBe(framesOut);
  });

  test('close() of the network rejects what is being connected', async () => {
    const { bench } = await booted();
    const absent = bench.network.connectTcp('10.0.2.99:80');
    absent.catch(() => {});
    bench.clock.advance(1);
    expect(await bench.close()).toEqual(NOTHING);
    bench.clock.advance(1);
    await expect(absent).rejects.toThrow('connect 10.0.2.99:80: failed');
  });

  test('nobody listens any more to signals of the embedder, nor to events', async () => {
    const { bench } = await booted();
    let listening = 0;
    const signal = {
      ...{ aborted: false, reason: null },
      addEventListener: () => void listening++,
      removeEventListener: () => void listening--,
    };
    bench.network.on('lease', () => {}, { signal });
    bench.network.listenTcp('80', () => {}, { signal }).close();
    expect(listening).toBe(1);
    await expect(bench.network.connectTcp('no port', { signal })).rejects.toThrow('connectTcp');
    await bench.close();
    expect(listening).toBe(0);
  });
});

describe('what code throws', () => {
  test.each([
    [
      'throws',
      () => {
        throw new Error('full');
      },
    ],
    ['rejects', () => Promise.reject(new Error('full'))],
  ])('a server that %s: the guest is reset, and the error is told', async (_, serve: () => unknown) => {
    const { bench, guest, errors } = await booted();
    bench.network.listenTcp('81', serve as () => void);
    const client = new SocketRecord();
    guest.connectTcp(to('10.0.2.2', 81), client);
    bench.clock.advance(50);
    await breath();
    bench.clock.advance(50);
    expect(client.events.at(-1)).toBe('reset');
    expect(errors).toEqual([expect.stringContaining('full')]);
    expect(bench.network.flows()).toEqual([]);
  });

  test('an async handler that rejects is an error event', async () => {
    const { bench, errors } = await booted();
    bench.network.on('guest-up', async () => {
      throw new Error('late');
    });
    bench.plug('other');
    await breath();
    expect(errors).toEqual(['the handler of guest-up threw: late']);
  });

  test('what is no Uint8Array is not written', async () => {
    const { bench, guest } = await booted();
    guest.listenTcp(80, () => ({}));
    const stream = await connected(bench, 80);
    for (const wrong of ['text', new ArrayBuffer(4), Float64Array.of(1), null])
      expect(() => stream.write(wrong as never)).toThrow('write: what is given is no Uint8Array');
  });
});

test('100 000 writes of a byte go as few reads of the engine', async () => {
  const { bench, guest } = await booted();
  const server = new SocketRecord();
  guest.listenTcp(80, () => server);
  const stream = await connected(bench, 80);
  const before = bench.network.turn.count;
  for (let i = 0; i < 100_000; i++) stream.write(Uint8Array.of(i));
  bench.clock.advance(5000);
  expect(server.bytes.length).toBe(100_000);
  expect(server.bytes.every((byte, i) => byte === (i & 0xff))).toBe(true);
  expect(bench.network.turn.count - before).toBeLessThan(1000);
});
