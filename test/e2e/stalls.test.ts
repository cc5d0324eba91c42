// One side stops reading for 30 s in the middle of 256 MiB, in each direction: nothing is lost, memory stays bounded, and
// the transfer goes on at once. The guest sends back what it got, and the host looks whether that is what it had sent: a
// digest of it would take the guest half a minute.

import { createHash } from 'node:crypto';
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Guest } from './support/guest.ts';
import { bytes, deferred, digest, listen } from './support/host-servers.ts';
import { Lab, pause, poll, showLogsOfFailures } from './support/processes.ts';
import { describeWithGuest } from './support/requirements.ts';
import { residentBytes, UsernetRun } from './support/usernet.ts';

const LENGTH = 256 << 20;
const HALF = LENGTH / 2;
const SEED = 6;
const STALL_MS = 30_000;
/** More than every buffer between the two applications holds. */
const BUFFERED = 32 << 20;
const RESUME_MS = 200;
const LIMIT_MS = 170_000;
/** `limits.flowBytes`, its default. */
const FLOW_BYTES = 1 << 20;

describeWithGuest('a transfer that stalls for 30 s', [], () => {
  let lab: Lab;
  let usernet: UsernetRun;
  let guest: Guest;

  beforeAll(async () => {
    lab = new Lab('stalls');
    const link = lab.path('net.sock');
    usernet = await UsernetRun.start(lab, { links: [link] });
    const network = ['-netdev', UsernetRun.netdev(link), '-device', 'virtio-net-pci,netdev=net0'];
    guest = await Guest.boot(lab, { name: 'guest', nic: 'virtio-net-pci', network, memoryMiB: 768 });
    await guest.lease();
  });
  afterAll(() => lab?.close());
  showLogsOfFailures(() => lab);

  test('the guest stops reading 256 MiB from the host', () => guestStops(guest, usernet.process.pid));
  test('the host application stops reading as it gets them back: they are the same', () =>
    hostStops(guest, usernet.process.pid));
});

async function hostStops(guest: Guest, pid: number): Promise<void> {
  const received = deferred<string>();
  const stalled = deferred<Socket>();
  const meter = new Meter();
  const server = await listen((socket) => {
    const hash = createHash('md5');
    socket.on('data', (chunk) => {
      hash.update(chunk);
      const before = meter.total;
      meter.add(chunk.length);
      if (before >= HALF || meter.total < HALF) return;
      socket.pause();
      stalled.resolve(socket);
    });
    socket.on('end', () => {
      socket.end();
      received.resolve(hash.digest('hex'));
    });
  });
  const sending = guest.run(`socat -u OPEN:/tmp/file TCP4:10.0.2.2:${server.port}`, LIMIT_MS);
  await meter.reaches(LENGTH / 4);
  const memory = new Memory(pid);
  const socket = await stalled.promise;
  await memory.expectBounded();
  const before = meter.total;
  const resumedAt = performance.now();
  socket.resume();
  await sending;
  expect(await received.promise).toBe(digest(LENGTH, SEED));
  server.close();
  // What the kernels and we have buffered comes at once; a stall would show behind it.
  expect(meter.longestGap(resumedAt, before + BUFFERED), 'gap in ms').toBeLessThan(RESUME_MS);
}

async function guestStops(guest: Guest, pid: number): Promise<void> {
  const meter = new Meter();
  const halfSent = deferred<void>();
  const server = await listen(async (socket) => {
    for (const block of bytes(LENGTH, SEED)) {
      if (!socket.write(block)) await once(socket, 'drain');
      meter.add(block.length);
      if (meter.total >= HALF) halfSent.resolve();
    }
    socket.end();
  });
  const read = `socat -u TCP4:10.0.2.2:${server.port} CREATE:/tmp/file & echo $! >/tmp/reader; wait`;
  const receiving = guest.run(`${read}; stat -c %s /tmp/file`, LIMIT_MS);
  await meter.reaches(LENGTH / 4);
  const memory = new Memory(pid);
  await halfSent.promise;
  await guest.run('kill -STOP $(cat /tmp/reader)');
  await meter.standsStill();
  await memory.expectBounded();
  const before = meter.total;
  const askedAt = performance.now();
  await guest.run('kill -CONT $(cat /tmp/reader)');
  // The time that the command took to reach the guest's process is not the network's.
  const commandMs = performance.now() - askedAt;
  expect(await receiving).toBe(`${LENGTH}`);
  server.close();
  expect(meter.longestGap(askedAt, before + BUFFERED) - commandMs, 'gap in ms').toBeLessThan(RESUME_MS);
}

/** Bytes over time, as the host's application sees them. */
class Meter {
  total = 0;
  private readonly marks: { readonly at: number; readonly total: number }[] = [];

  add(length: number): void {
    this.total += length;
    this.marks.push({ at: performance.now(), total: this.total });
  }

  /** The longest time without bytes, from `start` until `total` bytes are there. */
  longestGap(start: number, total: number): number {
    let [last, longest, marks] = [start, 0, 0];
    for (const mark of this.marks) {
      if (mark.at < start || mark.total > total) continue;
      longest = Math.max(longest, mark.at - last);
      last = mark.at;
      marks++;
    }
    expect(marks, 'chunks after the stall').toBeGreaterThan(0);
    return longest;
  }

  async reaches(total: number): Promise<void> {
    await poll(60_000, `${total} bytes`, () => (this.total >= total ? true : undefined));
  }

  /** Resolves when no byte came for a second. */
  async standsStill(): Promise<void> {
    await poll(20_000, 'the stall', () => {
      return performance.now() - this.marks.at(-1)!.at > 1000 ? true : undefined;
    });
  }
}

/** The resident memory of a process, sampled. */
class Memory {
  private readonly pid: number;
  private readonly timer: NodeJS.Timeout;
  private least = Number.POSITIVE_INFINITY;
  private most = 0;

  constructor(pid: number) {
    this.pid = pid;
    this.timer = setInterval(() => this.sample(), 100);
  }

  /**
   * Waits out the stall. The transfer before it has shown how far memory goes up and down by itself, V8's garbage above
   * all; what comes on top in the stall is what piles up.
   */
  async expectBounded(): Promise<void> {
    this.sample();
    const { least, most } = this;
    const noise = most - least;
    await pause(STALL_MS);
    clearInterval(this.timer);
    const grown = this.most - most;
    const said = `growth in bytes; before the stall it went from ${least} to ${most}`;
    expect(noise, said).toBeLessThan(16 << 20);
    expect(grown, said).toBeLessThanOrEqual(2 * FLOW_BYTES + noise);
  }

  private sample(): void {
    const now = residentBytes(this.pid);
    this.least = Math.min(this.least, now);
    this.most = Math.max(this.most, now);
  }
}
