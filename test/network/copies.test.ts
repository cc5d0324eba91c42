// Zero-copy, counted. What is moved inside the network's arena, or into it by our own code, for each byte of payload that
// arrives, over 16 MiB after the flow has found its size. What a kernel does for a socket is not counted, nor what the
// machine at the other end does in its own memory.
//
//   link                      guest -> host                          host -> guest
//   QEMU (socket)             1: receive buffer -> flow's ring       1: flow's ring -> transmit batch, with the checksum
//   embedder's own memory     2: into the arena, then as above       1, and out of the arena by the receiver
//   QEMU to QEMU              1: receive buffer -> the other link's transmit batch

import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { EmbeddedGuest } from '../../src/guest/guest.ts';
import { createGuestHost } from '../../src/guest/guest-host.ts';
import type { GuestSocket, GuestSocketEvents } from '../../src/guest/tcp-socket.ts';
import type { Link } from '../../src/link/link.ts';
import { createPair } from '../../src/link/pair.ts';
import type { Network } from '../../src/network/network.ts';
import { NodeClock } from '../../src/node/clock.ts';
import { createNodeNetwork } from '../../src/node/node-network.ts';
import { dialQemu, listenQemu, type QemuPort } from '../../src/node/qemu-port.ts';
import { NodeRandom } from '../../src/node/random.ts';
import { CopyMeter } from '../support/copy-meter.ts';
import { to } from '../support/guest-bench.ts';

const MIB = 1 << 20;
const WARM_UP = 4 * MIB;
const MEASURED = 16 * MIB;

let folder: string;
let network: Network;
let meter: CopyMeter;
let port: QemuPort;
let guests: EmbeddedGuest[];

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'usernet-copies-'));
  network = createNodeNetwork({});
  await network.start();
  meter = new CopyMeter(network.arena.memory);
  port = await listenQemu({ kind: 'unix', path: join(folder, 's'), server: true }, (link) =>
    network.attach(link),
  );
  guests = [];
});

afterEach(async () => {
  for (const guest of guests) guest.close();
  await port.close();
  await network.close();
  // A socket's blocks are free when it is closed, a moment later.
  await expect.poll(() => network.stats().arena.used).toBe(0);
  rmSync(folder, { recursive: true });
});

async function boot(link: Link): Promise<EmbeddedGuest> {
  const host = createGuestHost(new NodeClock(), 16 * MIB, (buffer) => Buffer.from(buffer));
  const guest = new EmbeddedGuest({ host, random: new NodeRandom(), link });
  guests.push(guest);
  await guest.boot();
  return guest;
}

/** A machine behind a unix socket, as QEMU is. */
async function overSocket(): Promise<EmbeddedGuest> {
  const link = await new Promise<Link>((resolve, reject) => {
    dialQemu({ kind: 'unix', path: join(folder, 's'), server: false }, resolve).catch(reject);
  });
  return boot(link);
}

/** A machine with memory of its own on a cable in this process, as an embedder's is. */
function embedded(): Promise<EmbeddedGuest> {
  const pair = createPair(`pair${guests.length}`, 1514);
  network.attach(pair.link);
  return boot(pair.peer);
}

/** One end of a transfer, told how much has come. */
class Counter implements GuestSocketEvents {
  received = 0;
  private left = 0;
  private socket: GuestSocket | null = null;
  private wanted = 0;
  private wake: () => void = () => {};

  onOpen(socket: GuestSocket): void {
    this.socket = socket;
    this.onWritable();
  }

  onWritable(): void {
    if (this.socket !== null) this.left -= this.socket.fill(this.left, (_off, len) => len);
  }

  onReadable(socket: GuestSocket): void {
    this.count(socket.consume((_off, len) => len));
  }

  count(len: number): void {
    this.received += len;
    if (this.received >= this.wanted) this.wake();
  }

  send(len: number): void {
    this.left += len;
    this.onWritable();
  }

  has(total: number): Promise<void> {
    this.wanted = total;
    return this.received >= total ? Promise.resolve() : new Promise((resolve) => (this.wake = resolve));
  }
}

/** Bytes moved for each byte of payload, by what moved them. */
async function measure(what: string, send: (len: number) => void, receiver: Counter) {
  send(WARM_UP);
  await receiver.has(WARM_UP);
  const before = { ...meter.moved };
  send(MEASURED);
  await receiver.has(WARM_UP + MEASURED);
  const per = (name: keyof CopyMeter['moved']): number => (meter.moved[name] - before[name]) / MEASURED;
  const [copy, copySum, set] = [per('copy'), per('copySum'), per('set')];
  const total = copy + copySum + set;
  // README's section on copies quotes these lines.
  process.stdout.write(`${what}: ${total.toFixed(3)} copies for each byte of payload\n`);
  return { copy, copySum, set, total };
}

/** A host that counts what it gets. */
async function hostSide(): Promise<{ at: number; socket: Promise<Socket>; counter: Counter; close(): void }> {
  const counter = new Counter();
  const server = createServer((socket) => {
    socket.on('data', (chunk) => counter.count(chunk.length));
    // The guest goes without a word.
    socket.on('error', () => {});
  });
  const socket = once(server, 'connection').then(([one]) => one as Socket);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { at: (server.address() as AddressInfo).port, socket, counter, close: () => server.close() };
}

async function up(guest: EmbeddedGuest) {
  const host = await hostSide();
  const sender = new Counter();
  guest.connectTcp(to('10.0.2.2', host.at), sender);
  const result = await measure('guest to host', (len) => sender.send(len), host.counter);
  host.close();
  return result;
}

async function down(guest: EmbeddedGuest) {
  const host = await hostSide();
  const receiver = new Counter();
  guest.connectTcp(to('10.0.2.2', host.at), receiver);
  const socket = await host.socket;
  const block = randomBytes(MIB);
  const send = (len: number): void => {
    for (let i = 0; i < len / MIB; i++) socket.write(block);
  };
  const result = await measure('host to guest', send, receiver);
  host.close();
  return result;
}

async function across(a: EmbeddedGuest, b: EmbeddedGuest) {
  const [sender, receiver] = [new Counter(), new Counter()];
  b.listenTcp(9, () => receiver);
  a.connectTcp({ addr: to(b.lease!.text, 0).addr, port: 9 }, sender);
  return measure('guest to guest', (len) => sender.send(len), receiver);
}

/** Headers, of frames that are moved whole. */
const HEADERS = 1514 / 1448;
/** ACKs, parts of frames at the end of a read, reads that were too small for a place in the ring. */
const SLACK = 0.1;

describe('copies for each byte of payload', () => {
  test("QEMU's link, guest to host: 1, with the checksum", async () => {
    const { total, copySum } = await up(await overSocket());
    expect(total).toBeLessThan(1 + SLACK);
    expect(copySum).toBeGreaterThan(0.99);
  });

  test("QEMU's link, host to guest: 1, with the checksum", async () => {
    const { total, copySum } = await down(await overSocket());
    expect(total).toBeLessThan(1 + SLACK);
    expect(copySum).toBeGreaterThan(0.99);
  });

  test('guest to guest: 1, headers included', async () => {
    const { total } = await across(await overSocket(), await overSocket());
    expect(total).toBeLessThan(HEADERS + SLACK);
  });

  test("an embedder's own frame, guest to host: 2", async () => {
    const { total, set } = await up(await embedded());
    expect(total).toBeLessThan(1 + HEADERS + SLACK);
    expect(set).toBeGreaterThan(0.99);
  });

  test("an embedder's own frame, host to guest: 1, and one out of the arena by whom it is for", async () => {
    const { total, set } = await down(await embedded());
    expect(total).toBeLessThan(1 + SLACK);
    expect(set).toBeLessThan(SLACK);
  });
});
