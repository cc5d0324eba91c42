// The TAP link with a pipe in the place of the device: the first frame comes through it, as libuv reads it; what waits
// behind that, and what becomes of a write, is the test's.

import { closeSync, writeSync } from 'node:fs';
import { afterEach, describe, expect, test } from 'vitest';
import { Account } from '../../src/base/arena.ts';
import { TURN_WORK } from '../../src/base/turn.ts';
import { NodeClock } from '../../src/node/clock.ts';
import { loadLibc } from '../../src/node/libc.ts';
import { TapLink } from '../../src/node/tap.ts';
import { EAGAIN, EIO } from '../../src/node/tap-device.ts';
import { newHost, pattern, RecordingSink, sameFrames, sendFrame } from '../support/link-bench.ts';

const ENOMEM = 12;
const CLOEXEC = 0o2000000;

class TapBench {
  readonly host = newHost(new NodeClock());
  readonly sink = new RecordingSink(this.host);
  readonly link: TapLink;
  /** Frames that wait behind the one that libuv reads. */
  readonly waiting: Buffer[] = [];
  /** The error number of each of the next writes; 0: it is taken. */
  readonly writes: number[] = [];
  private readonly device: number;
  private errno = 0;

  private constructor(libc: Awaited<ReturnType<typeof loadLibc>>) {
    const ends = new Int32Array(2);
    libc.pipe2(ends, CLOEXEC);
    this.device = ends[1]!;
    const { bytes } = this.host.arena.memory;
    // An address is an offset.
    const read = (_fd: number, address: number): number => {
      const frame = this.waiting.shift();
      if (frame === undefined) return this.fails(EAGAIN);
      bytes.set(frame, address);
      return frame.length;
    };
    const write = (_fd: number, _address: number, len: number): number => {
      const errno = this.writes.shift() ?? 0;
      return errno === 0 ? len : this.fails(errno);
    };
    const ours = { read, write, errno: () => this.errno, addressOf: () => 0 };
    this.link = new TapLink('tap0', { libc: { ...libc, ...ours }, fd: ends[0]!, mtu: 1500 });
    this.link.attach(this.sink, this.host);
  }

  static async open(): Promise<TapBench> {
    const bench = new TapBench(await loadLibc());
    open.push(bench);
    return bench;
  }

  /** The guest sends these, one turn. */
  async receives(first: Buffer, ...more: Buffer[]): Promise<void> {
    const due = this.sink.frames.length + 1 + more.length;
    this.waiting.push(...more);
    writeSync(this.device, first);
    while (this.sink.frames.length < due) await new Promise((resolve) => setImmediate(resolve));
  }

  /** Lengths of the frames from the guest that recall() shows. */
  recalled(): number[] {
    const lengths: number[] = [];
    this.link.recall((direction, _memory, _off, len) => {
      if (direction === 'from-guest') lengths.push(len);
    });
    return lengths;
  }

  async close(): Promise<void> {
    await this.link.close();
    closeSync(this.device);
  }

  private fails(errno: number): number {
    this.errno = errno;
    return -1;
  }
}

const open: TapBench[] = [];
afterEach(async () => {
  for (const each of open.splice(0)) await each.close();
});

describe.runIf(process.platform === 'linux')('a TAP link', () => {
  test('recall() shows the frames of a round to the last, also when the next is read to the front again', async () => {
    const bench = await TapBench.open();
    const long = pattern(1, 65_000);
    await bench.receives(long, long);
    expect(bench.recalled()).toEqual([65_000, 65_000]);
    // The fourth leaves no room for one more behind it.
    await bench.receives(long, long);
    expect(bench.recalled()).toEqual([65_000, 65_000, 65_000, 65_000]);
    await bench.receives(pattern(2, 60));
    expect(bench.recalled()).toEqual([60]);
  });

  test('recall() shows nothing once the arena has the blocks back: they are somebody else’s', async () => {
    const bench = await TapBench.open();
    await bench.receives(pattern(1, 100), pattern(2, 200));
    const { host, link, sink } = bench;
    sendFrame(link, host, pattern(3, 300));
    await link.close();
    for (const { arena } of [host]) while (arena.take(4096, new Account()) >= 0);
    host.arena.memory.bytes.fill(0xff);
    const shown: string[] = [];
    link.recall((direction, _memory, off, len) => shown.push(`${direction} ${off} ${len}`));
    expect(shown).toEqual([]);
    expect(sink.down).toBe('closed');
  });

  test('close(): whoever it is attached to hears of it, once; nor can it be attached again', async () => {
    const bench = await TapBench.open();
    const { link, host } = bench;
    const told: string[] = [];
    bench.sink.onLinkDown = (reason) => void told.push(reason);
    await Promise.all([link.close(), link.close()]);
    expect(told).toEqual(['closed']);
    expect(() => link.attach(bench.sink, host)).toThrow(/^the link tap0 is closed$/);
  });

  test('a turn takes what the budget has, what one does beyond is made up for, and then the device is read on', async () => {
    const bench = await TapBench.open();
    const { sink, host, waiting } = bench;
    const frames = Array.from({ length: 250 }, (_, i) => pattern(i, 60));
    await bench.receives(frames[0]!, ...frames.slice(1, TURN_WORK));
    sink.onEach = () => {
      if (sink.frames.length === TURN_WORK + 1) host.turn.spend(3 * TURN_WORK);
    };
    await bench.receives(frames[TURN_WORK]!);
    waiting.push(...frames.slice(TURN_WORK + 2));
    await bench.receives(frames[TURN_WORK + 1]!);
    // One unit of that frame was left for this turn to make up for.
    expect(sink.frames.length).toBe(TURN_WORK + 1 + TURN_WORK - 1);
    expect(sameFrames(sink.frames, frames.slice(0, sink.frames.length))).toBe(true);
    expect(waiting.length).toBe(250 - sink.frames.length);
  });

  test('what the device does not take is told as lost, by the reason', async () => {
    const { link, host, writes } = await TapBench.open();
    expect(link.losses).toEqual({ whileDown: 0, refused: 0 });
    writes.push(EIO, 0, EIO, ENOMEM);
    for (let i = 0; i < 5; i++) sendFrame(link, host, pattern(i, 60));
    expect(link.losses).toEqual({ whileDown: 2, refused: 1 });
    expect(link.counters).toMatchObject({ sent: 2, lostWhileDown: 2, refused: 1 });
  });
});
