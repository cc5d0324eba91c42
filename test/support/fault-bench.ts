import { ManualClock } from '../../src/base/manual-clock.ts';
import type { FaultOptions } from '../../src/link/fault-options.ts';
import type { FaultStats } from '../../src/link/fault-stats.ts';
import { faultyLink } from '../../src/link/faults.ts';
import type { Link } from '../../src/link/link.ts';
import { newHost, pattern, RecordingSink, sendFrame } from './link-bench.ts';
import { RawLink } from './raw-guest.ts';

/** A faulty link around a raw one, which has room unless it is told otherwise. */
export class FaultBench {
  readonly clock: ManualClock;
  readonly host: ReturnType<typeof newHost<ManualClock>>;
  readonly raw = new RawLink('guest0');
  readonly sink: RecordingSink;
  readonly link: Link;
  private readonly heldByRaw: number;
  private readonly heldIdle: number;

  constructor(options: FaultOptions, clock = new ManualClock()) {
    this.clock = clock;
    this.host = newHost(clock, 32 << 20);
    this.sink = new RecordingSink(this.host);
    this.link = faultyLink(this.raw, options);
    const { arena } = this.host;
    const before = arena.used;
    this.raw.attach(this.sink, this.host);
    this.heldByRaw = 2 * (arena.used - before);
    this.link.attach(this.sink, this.host);
    this.heldIdle = arena.used;
  }

  /** True when the link took it. */
  toGuest(frame: Uint8Array): boolean {
    return sendFrame(this.link, this.host, frame);
  }

  /** In one turn. */
  allToGuest(frames: readonly Uint8Array[]): void {
    this.host.turn.run(() => {
      for (const frame of frames) this.toGuest(frame);
    });
  }

  fromGuest(...frames: Uint8Array[]): void {
    this.raw.sends(...frames);
  }

  get counts(): FaultStats {
    return this.link.faults!;
  }

  /** What of the arena is held for frames that wait, beyond what an idle link has. */
  get heldMore(): number {
    return this.host.arena.used - this.heldIdle;
  }

  /** What of the arena is held apart from what the raw link never gives back. */
  get heldAtAll(): number {
    return this.host.arena.used - this.heldByRaw;
  }

  /** The numbers that numbered() gave the frames that came out for the guest, forgotten by asking. */
  takeNumbers(): number[] {
    return numbersOf(this.raw.takes());
  }
}

/** A frame with its number in front. */
export function numbered(n: number, len = 60): Buffer {
  const frame = pattern(n, len);
  frame.writeUInt32BE(n);
  return frame;
}

export function numbersOf(frames: readonly Buffer[]): number[] {
  return frames.map((frame) => frame.readUInt32BE());
}

export function someNumbered(count: number, len = 60): Buffer[] {
  return Array.from({ length: count }, (_, i) => numbered(i, len));
}

/** 0..count-1. */
export const upTo = (count: number): number[] => Array.from({ length: count }, (_, i) => i);
