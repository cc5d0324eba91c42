// Real host sockets on loopback behind a real network, embedded guests in front of it.

import { createHash, type Hash } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Memory } from '../../src/base/memory.ts';
import { EmbeddedGuest, type GuestOptions } from '../../src/guest/guest.ts';
import { createGuestHost } from '../../src/guest/guest-host.ts';
import type { GuestClose, GuestSocket, GuestSocketEvents } from '../../src/guest/tcp-socket.ts';
import { createPair } from '../../src/link/pair.ts';
import type { Network } from '../../src/network/network.ts';
import { NodeClock } from '../../src/node/clock.ts';
import { createNodeNetwork } from '../../src/node/node-network.ts';
import { NodeRandom } from '../../src/node/random.ts';
import { to } from '../support/guest-bench.ts';
import { pattern } from '../support/link-bench.ts';

const MIB = 1 << 20;

let network: Network;
let guests: EmbeddedGuest[];
let servers: Server[];

beforeEach(async () => {
  network = createNodeNetwork({});
  await network.start();
  guests = [];
  servers = [];
});

afterEach(async () => {
  for (const guest of guests) guest.close();
  for (const server of servers) server.close();
  await network.close();
  const { flows, timers, arena } = network.stats();
  expect({ tcp: flows.tcp, udp: flows.udp, timers, arena: arena.used }).toEqual({
    tcp: 0,
    udp: 0,
    timers: 0,
    arena: 0,
  });
});

interface Machine {
  readonly guest: EmbeddedGuest;
  readonly memory: Memory;
}

/** A guest with a lease, on the network's memory or on its own. */
async function boot(alone: boolean, options: Partial<GuestOptions> = {}): Promise<Machine> {
  const pair = createPair(`guest${guests.length}`, 1514);
  network.attach(pair.link);
  const host = alone ? createGuestHost(new NodeClock(), 8 * MIB, (b) => Buffer.from(b)) : network;
  const guest = new EmbeddedGuest({ host, random: new NodeRandom(), link: pair.peer, ...options });
  guests.push(guest);
  await guest.boot();
  return { guest, memory: host.arena.memory };
}

async function serve(onSocket: (socket: Socket) => void): Promise<number> {
  const server = createServer({ allowHalfOpen: true, noDelay: true }, onSocket);
  servers.push(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

const BLOCK = pattern(11, MIB);

/** Sends `total` bytes of BLOCK over and over, then FIN. */
function sendFrom(socket: Socket, total: number): void {
  let left = total;
  const more = (): void => {
    while (left > 0) {
      left -= MIB;
      if (!socket.write(BLOCK) && left > 0) {
        socket.once('drain', more);
        return;
      }
    }
    socket.end();
  };
  more();
}

function digestOf(total: number): string {
  const hash = createHash('sha256');
  for (let i = 0; i < total / MIB; i++) hash.update(BLOCK);
  return hash.digest('hex');
}

/** Sends `up` bytes of BLOCK over and over, then FIN; hashes what comes. */
class Transfer implements GuestSocketEvents {
  readonly ended: Promise<GuestClose | 'end'>;
  readonly hash: Hash = createHash('sha256');
  received = 0;
  private sent = 0;
  private readonly memory: Memory;
  private readonly up: number;
  private settle: (how: GuestClose | 'end') => void = () => {};

  constructor(memory: Memory, up: number) {
    this.memory = memory;
    this.up = up;
    this.ended = new Promise((resolve) => {
      this.settle = resolve;
    });
  }

  onOpen(socket: GuestSocket): void {
    this.onWritable(socket);
  }

  onWritable(socket: GuestSocket): void {
    socket.fill(this.up - this.sent, (off, len) => {
      for (let done = 0; done < len; ) {
        const at = (this.sent + done) % MIB;
        const part = Math.min(len - done, MIB - at);
        this.memory.bytes.set(BLOCK.subarray(at, at + part), off + done);
        done += part;
      }
      this.sent += len;
      return len;
    });
    if (this.sent === this.up) socket.end();
  }

  onReadable(socket: GuestSocket): void {
    this.received += socket.consume((off, len) => {
      this.hash.update(this.memory.bytes.subarray(off, off + len));
      return len;
    });
  }

  onEnd(): void {
    this.settle('end');
  }

  onClose(_socket: GuestSocket, reason: GuestClose): void {
    this.settle(reason);
  }
}

/** `total` bytes up and `total` bytes down on one connection at once, to their ends, digests equal. */
async function movesBothWays(
  { guest, memory }: Awaited<ReturnType<typeof boot>>,
  total: number,
): Promise<void> {
  const up = createHash('sha256');
  let told: () => void = () => {};
  const done = new Promise<void>((resolve) => (told = resolve));
  const port = await serve((socket) => {
    socket.on('data', (chunk) => up.update(chunk));
    socket.on('end', () => told());
    sendFrom(socket, total);
  });
  const transfer = new Transfer(memory, total);
  guest.connectTcp(to('10.0.2.2', port), transfer);
  expect(await transfer.ended).toBe('end');
  await done;
  expect(transfer.hash.digest('hex')).toBe(digestOf(total));
  expect(up.digest('hex')).toBe(digestOf(total));
}

describe.each([
  ["shares the network's memory", false],
  ['has memory and time of its own', true],
])('a guest that %s', (_what, alone) => {
  test('moves 16 MiB up and 16 MiB down at once, digests equal', async () => {
    await movesBothWays(await boot(alone), 16 * MIB);
    expect(network.stats().tcp).toMatchObject({ retransmits: 0, timeouts: 0 });
  });

  test('RFC 9293 3.4: sequence numbers that wrap carry 8 MiB each way', async () => {
    const machine = await boot(alone, { iss: () => 0xffffff00 | 0 });
    const inner = network as unknown as { nat: { context: { isn: { next(): number } } } };
    inner.nat.context.isn.next = () => 0xffffff00 | 0;
    await movesBothWays(machine, 8 * MIB);
  });

  test('a RST right behind data, 100 times, is data and then RST', async () => {
    const { guest } = await boot(alone);
    const said = pattern(1, 5000);
    const port = await serve((socket) => {
      socket.on('error', () => {});
      // Not at once: a connection that is reset before Node has noticed that it stands was never there for Node.
      socket.on('data', () => socket.write(said, () => socket.resetAndDestroy()));
    });
    for (let i = 0; i < 100; i++) {
      const heard: Buffer[] = [];
      const reason = await new Promise<GuestClose | 'end'>((resolve) => {
        guest.connectTcp(to('10.0.2.2', port), {
          onOpen: (socket) => socket.write(Buffer.from('well?')),
          onReadable: (socket) => {
            const chunk = Buffer.alloc(socket.readable);
            socket.read(chunk);
            heard.push(chunk);
          },
          onEnd: () => resolve('end'),
          onClose: (_socket, why) => resolve(why),
        });
      });
      expect(`${i} ${reason} ${Buffer.concat(heard).length}`).toBe(`${i} reset 5000`);
    }
  });

  test('100 connections at once, each echoed and closed in order', async () => {
    const { guest, memory } = await boot(alone, { timeWait: 50 });
    const port = await serve((socket) => socket.pipe(socket));
    const transfers = Array.from({ length: 100 }, () => new Transfer(memory, 65536));
    for (const transfer of transfers) guest.connectTcp(to('10.0.2.2', port), transfer);
    const ends = await Promise.all(transfers.map((transfer) => transfer.ended));
    expect(new Set(ends)).toEqual(new Set(['end']));
    const want = createHash('sha256').update(BLOCK.subarray(0, 65536)).digest('hex');
    expect(new Set(transfers.map((transfer) => transfer.hash.digest('hex')))).toEqual(new Set([want]));
  });
});

describe('what the host hears', () => {
  /** `act` once the host has heard the guest: the host's error. */
  async function errorAfter(act: (guest: EmbeddedGuest, socket: GuestSocket) => void) {
    const { guest } = await boot(false);
    let opened: GuestSocket | null = null;
    let told: (code: string | undefined) => void = () => {};
    const error = new Promise<string | undefined>((resolve) => {
      told = resolve;
    });
    const port = await serve((socket) => {
      socket.on('error', (e: NodeJS.ErrnoException) => told(e.code));
      socket.on('data', () => act(guest, opened!));
    });
    guest.connectTcp(to('10.0.2.2', port), {
      onOpen: (socket) => {
        opened = socket;
        socket.write(Buffer.from('hello'));
      },
    });
    return error;
  }

  test("a guest's reset is ECONNRESET", async () => {
    expect(await errorAfter((_guest, socket) => socket.reset())).toBe('ECONNRESET');
  });

  test('a guest whose cable is pulled is ECONNRESET as well', async () => {
    expect(await errorAfter((guest) => guest.close())).toBe('ECONNRESET');
  });
});

describe('what the guest hears', () => {
  test('a closed port is refused in under 50 ms', async () => {
    const { guest } = await boot(false);
    const port = await serve(() => {});
    servers.pop()?.close();
    const since = performance.now();
    const reason = await new Promise((resolve) => {
      guest.connectTcp(to('10.0.2.2', port), { onClose: (_socket, why) => resolve(why) });
    });
    expect(reason).toBe('refused');
    expect(performance.now() - since).toBeLessThan(50);
  });

  test('a closed UDP port is ICMP port unreachable', async () => {
    const { guest } = await boot(false);
    const closed = createSocket('udp4').bind(0, '127.0.0.1');
    await once(closed, 'listening');
    const { port } = closed.address();
    closed.close();
    const code = await new Promise((resolve) => {
      guest.openUdp({ onUnreachable: (why) => resolve(why) }).send(to('10.0.2.2', port), Buffer.from('x'));
    });
    expect(code).toBe(3);
  });

  test.each([0, 1, 1472, 4000, 65507])('%i bytes of UDP are echoed', async (length) => {
    const { guest } = await boot(false);
    const echo = createSocket({ type: 'udp4', recvBufferSize: MIB }).bind(0, '127.0.0.1');
    echo.on('message', (data, from) => echo.send(data, from.port, from.address));
    await once(echo, 'listening');
    const sent = pattern(length, length);
    const heard = await new Promise<Buffer>((resolve) => {
      const socket = guest.openUdp({ onDatagram: (data) => resolve(Buffer.from(data)) });
      socket.send(to('10.0.2.2', echo.address().port), sent);
    });
    expect(sent.equals(heard)).toBe(true);
    echo.close();
  });
});
