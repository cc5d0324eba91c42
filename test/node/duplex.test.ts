// Connections of code on the virtual network, as Node streams and as Web Streams, on Node's clock and the web's.

import { createHash } from 'node:crypto';
import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { afterEach, describe, expect, test } from 'vitest';
import { EmbeddedGuest } from '../../src/guest/guest.ts';
import * as web from '../../src/index.ts';
import { createPair } from '../../src/link/pair.ts';
import type { Network } from '../../src/network/network.ts';
import { duplexOf } from '../../src/node/duplex.ts';
import { createNodeNetwork } from '../../src/node/node-network.ts';
import { NodeRandom } from '../../src/node/random.ts';
import { to } from '../support/guest-bench.ts';
import { pattern } from '../support/link-bench.ts';

const MIB = 1 << 20;
let close: (() => Promise<void>) | null = null;
let network: Network | null = null;
afterEach(async () => {
  await close?.();
  close = null;
});

/** A guest on a network with an echo server at port 7, and code connected to it. */
async function connected(made: Network) {
  network = made;
  const pair = createPair('guest', 1514);
  made.attach(pair.link);
  const guest = new EmbeddedGuest({ host: made, random: new NodeRandom(), link: pair.peer });
  close = () => {
    guest.close();
    return made.close();
  };
  await guest.boot();
  guest.listenTcp(7, () => {
    const waiting: Uint8Array[] = [];
    let ended = false;
    return {
      onReadable: (socket) => {
        const chunk = new Uint8Array(socket.readable);
        socket.read(chunk);
        waiting.push(chunk);
        flush(socket);
      },
      onWritable: (socket) => flush(socket),
      onEnd: (socket) => {
        ended = true;
        flush(socket);
      },
    };
    function flush(socket: { write(data: Uint8Array): number; end(): void }): void {
      while (waiting[0] !== undefined) {
        const taken = socket.write(waiting[0]);
        if (taken < waiting[0].length) {
          waiting[0] = waiting[0].subarray(taken);
          return;
        }
        waiting.shift();
      }
      if (ended) socket.end();
    }
  });
  return { guest, stream: await made.connectTcp('7') };
}

function current(): Network {
  return network!;
}

function sha256(data: Uint8Array): string {
  return createHash('sha256').update(data).digest('hex');
}

describe('a Duplex', () => {
  test('4 MiB there and back, with pipeline and half-close', async () => {
    const { stream } = await connected(createNodeNetwork());
    const duplex = duplexOf(stream);
    const sent = pattern(9, 4 * MIB);
    const [, received] = await Promise.all([
      pipeline(async function* () {
        for (let at = 0; at < sent.length; at += 50_000) yield sent.subarray(at, at + 50_000);
      }, duplexWritable(duplex)),
      buffer(duplex),
    ]);
    expect(sha256(received)).toBe(sha256(sent));
  });

  test('destroy() is a reset to the guest', async () => {
    const { stream, guest } = await connected(createNodeNetwork());
    const ended = new Promise((resolve) => {
      guest.listenTcp(8, () => ({ onClose: (_socket, reason) => resolve(reason) }));
    });
    const duplex = duplexOf(stream).destroy();
    expect(duplex.destroyed).toBe(true);
    duplexOf(await current().connectTcp('8')).destroy();
    expect(await ended).toBe('reset');
  });

  test('a reset of the other side is an error', async () => {
    const { stream } = await connected(createNodeNetwork());
    const failed = once(duplexOf(stream), 'error');
    current().kill(current().flows()[0]!.id);
    expect((await failed)[0]).toMatchObject({ message: 'the connection has ended: reset' });
  });
});

/** The writing side alone: pipeline() would wait for the reading side's end too. */
function duplexWritable(duplex: Duplex) {
  return async (source: AsyncIterable<Uint8Array>): Promise<void> => {
    for await (const chunk of source) if (!duplex.write(chunk)) await once(duplex, 'drain');
    duplex.end();
  };
}

describe('Web Streams, on the clock and randomness of a browser', () => {
  test('4 MiB there and back, and an end in order', async () => {
    const { stream } = await connected(web.createNetwork());
    const { readable, writable, closed } = web.webStreams(stream);
    const sent = pattern(10, 4 * MIB);
    const writing = (async () => {
      const writer = writable.getWriter();
      for (let at = 0; at < sent.length; at += 65_536) await writer.write(sent.subarray(at, at + 65_536));
      await writer.close();
    })();
    const chunks: Uint8Array[] = [];
    for await (const chunk of readable as unknown as AsyncIterable<Uint8Array>) chunks.push(chunk);
    await writing;
    await closed;
    expect(sha256(Buffer.concat(chunks))).toBe(sha256(sent));
  });

  test('a killed flow is an error of the reader, the writer and closed', async () => {
    const { stream } = await connected(web.createNetwork());
    const { readable, writable, closed } = web.webStreams(stream);
    const reading = readable.getReader().read();
    current().kill(current().flows()[0]!.id);
    await expect(reading).rejects.toThrow('the connection has ended: reset');
    await expect(closed).rejects.toThrow('the connection has ended: reset');
    await expect(writable.getWriter().write(new Uint8Array(1))).rejects.toThrow('the connection has ended');
  });

  test('without a host there is nothing outside: unreachable, at once', async () => {
    const { guest } = await connected(web.createNetwork());
    const reason = new Promise((resolve) => {
      guest.connectTcp(to('192.0.2.1', 80), { onClose: (_socket, why) => resolve(why) });
    });
    expect(await reason).toBe('unreachable');
  });
});

describe('a guest that takes nothing, and then resets', () => {
  /** Code connected to a server in the guest that does not read; `reset` is the guest's. */
  async function stuck() {
    const { guest } = await connected(createNodeNetwork());
    const accepted = new Promise<{ reset(): void }>((resolve) => {
      guest.listenTcp(9, (socket) => {
        resolve(socket);
        return {};
      });
    });
    return { stream: await current().connectTcp('9'), reset: async () => (await accepted).reset() };
  }

  test('a Duplex: the write under way is told, as is that of one that is destroyed', async () => {
    const { stream, reset } = await stuck();
    const duplex = duplexOf(stream);
    const failed = once(duplex, 'error');
    const written = new Promise((resolve) => duplex.write(new Uint8Array(4 * MIB), resolve));
    await reset();
    expect(await written).toMatchObject({ message: 'the connection has ended: reset' });
    await failed;
    const other = duplexOf(await current().connectTcp('9'));
    const writtenToo = new Promise((resolve) => other.write(new Uint8Array(4 * MIB), resolve));
    other.destroy();
    expect(await writtenToo).toMatchObject({ message: 'the connection was destroyed' });
  });

  test('Web Streams: abort() ends the write under way, and the other stream', async () => {
    const { stream } = await stuck();
    const { readable, writable, closed } = web.webStreams(stream);
    const writer = writable.getWriter();
    const reading = readable.getReader().read();
    const enough = new Error('enough');
    for (const each of [writer.closed, writer.ready, reading, closed]) each.catch(() => {});
    const writing = writer.write(new Uint8Array(4 * MIB));
    await writer.abort(enough);
    await Promise.allSettled([writing]);
    await expect(reading).rejects.toBe(enough);
    await expect(closed).rejects.toBe(enough);
  });

  test('Web Streams: after cancel() nothing is written either, and nothing goes wrong', async () => {
    const { stream } = await connected(createNodeNetwork());
    const errors: string[] = [];
    current().on('error', ({ message }) => void errors.push(message));
    const { readable, writable } = web.webStreams(stream);
    const writer = writable.getWriter();
    writer.closed.catch(() => {});
    await writer.write(new Uint8Array(1000));
    const enough = new Error('enough');
    await readable.cancel(enough);
    await expect(writer.write(new Uint8Array(1))).rejects.toBe(enough);
    expect(errors).toEqual([]);
  });

  test('a Duplex that nobody reads ends with the guest', async () => {
    const { guest } = await connected(createNodeNetwork());
    const ended = new Promise<void>((resolve) => {
      current().listenTcp('80', (stream) => void duplexOf(stream).on('close', resolve).end('hello'));
    });
    const socket = guest.connectTcp(to('10.0.2.2', 80), { onEnd: () => socket.end() });
    await ended;
  });
});
