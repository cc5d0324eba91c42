import { Arena } from '../../src/base/arena.ts';
import type { Clock } from '../../src/base/clock.ts';
import { Drop } from '../../src/base/drop.ts';
import { createMemory } from '../../src/base/memory.ts';
import { Timers } from '../../src/base/timers.ts';
import { Turn } from '../../src/base/turn.ts';
import type { LinkHost, LinkSink } from '../../src/link/link.ts';

/** What a network lends to its links and hosts, with an arena of its own. */
export function newHost<C extends Clock>(clock: C, arenaBytes = 8 << 20): LinkHost & { clock: C } {
  const memory = createMemory(arenaBytes, (buffer) => Buffer.from(buffer));
  const turn = new Turn(clock);
  return { arena: new Arena(memory), turn, clock, timers: new Timers(clock, turn) };
}

/** A sink that keeps a copy of every frame and what else it is told. */
export class RecordingSink implements LinkSink {
  readonly frames: Buffer[] = [];
  readonly offs: number[] = [];
  writable = 0;
  down: string | null = null;
  /** Called after each frame was recorded. */
  onEach: (frame: Buffer) => void = () => {};
  /** What it says of each frame. */
  verdict: Drop = Drop.None;
  private readonly host: LinkHost;

  constructor(host: LinkHost) {
    this.host = host;
  }

  onFrame(off: number, len: number): Drop {
    const frame = Buffer.from(this.host.arena.memory.bytes.subarray(off, off + len));
    this.frames.push(frame);
    this.offs.push(off);
    this.onEach(frame);
    return this.verdict;
  }

  onLinkWritable(): void {
    this.writable++;
  }

  onLinkDown(reason: string): void {
    this.down = reason;
  }
}

/** Sends `frame` on `link` of `host`, in a turn. False when the link had no room. */
export function sendFrame(
  link: { reserve(n: number): number; commit(n: number): void },
  host: LinkHost,
  frame: Uint8Array,
): boolean {
  let sent = false;
  host.turn.run(() => {
    const off = link.reserve(frame.length);
    if (off < 0) return;
    host.arena.memory.bytes.set(frame, off);
    link.commit(frame.length);
    sent = true;
  });
  return sent;
}

/** `len` bytes that depend on `seed` and on their place. */
export function pattern(seed: number, len: number): Buffer {
  const bytes = Buffer.alloc(len);
  for (let i = 0; i < len; i++) bytes[i] = (seed * 31 + i * 7 + (i >>> 8)) & 255;
  return bytes;
}

/** Do the two lists hold the same bytes? (`toEqual` on long buffers takes seconds.) */
export function sameFrames(a: readonly Buffer[], b: readonly Buffer[]): boolean {
  return a.length === b.length && a.every((frame, i) => frame.equals(b[i]!));
}
