// A guest's cable for the fuzzer. Frames of the guest lie in the arena between patterns and are spoiled as soon as
// the turn is over: they were lent. Those of some turns lie one behind the other, as on a link that brings bytes with
// QEMU's framing (src/link/framing.ts), and are offered so: then the patterns are around all of them. What the
// network sends is shown to whoever watches, then spoiled as well.

import { Account } from '../../src/base/arena.ts';
import { Drop } from '../../src/base/drop.ts';
import { PREFIX_LEN } from '../../src/link/framing.ts';
import type { Link, LinkHost, LinkSink } from '../../src/link/link.ts';
import type { SeededRandom } from '../support/seeded-random.ts';
import type { ArenaWatch } from './arena-watch.ts';

/** Frames of one turn: bytes for all of them. */
const INBOX = 262144;
const OUTBOX = 131072;
/** Pattern in front of each frame and behind it. */
const MARGIN = 64;
/** Bytes behind the last frame of a run, at most: what has come of the next. */
const TAIL = 128;

/** Frames that were taken in trains, and that were made so. */
export interface TrainCounts {
  taken: number;
  made: number;
}

export interface FuzzLinkParts {
  /** Of the arena of the network that it will be attached to. */
  readonly watch: () => ArenaWatch;
  readonly onOut: FrameOut;
  /** Decides which turns bring runs, and how much of them is offered; and how much room extend() has. */
  readonly random: SeededRandom;
  readonly roomRandom: SeededRandom;
  readonly trains: TrainCounts;
}

/** A frame from the network, at [off, off+len) of the arena, lent for the call. */
export type FrameOut = (off: number, len: number) => void;

export class FuzzLink implements Link {
  readonly name: string;
  readonly maxFrame: number;
  /** No room for frames to the guest. */
  isFull = false;
  isUp = false;
  /** Frames and bytes handed in. */
  framesIn = 0;
  bytesIn = 0;
  private readonly parts: FuzzLinkParts;
  private readonly account = new Account();
  private host: LinkHost | null = null;
  private sink: LinkSink | null = null;
  private inbox = -1;
  private outbox = -1;
  private reserved = -1;
  /** Where the frames of the turn to come lie, offset and length, and the bytes they need. */
  private readonly waiting: number[] = [];
  private inUse = MARGIN;
  /** Are they a run? */
  private isRun = false;
  private most = 0;
  /** Behind this one of them nothing is offered, the first is 1. */
  private notOffered = 0;
  private readonly run = { at: 0, end: 0, most: 0 };
  /** Bytes of the outbox that hold frames: of one, which was shown, and more like it, which were not. */
  private filled = 0;
  private frameLen = 0;

  constructor(name: string, maxFrame: number, parts: FuzzLinkParts) {
    this.name = name;
    this.maxFrame = maxFrame;
    this.parts = parts;
  }

  attach(sink: LinkSink, host: LinkHost): void {
    this.sink = sink;
    this.host = host;
    this.inbox = host.arena.take(INBOX, this.account);
    this.outbox = host.arena.take(OUTBOX, this.account);
    if (this.inbox < 0 || this.outbox < 0) throw new Error('the arena has no room for a link');
    this.isUp = true;
  }

  /** Is there room for one more frame of `len` bytes in the turn to come? */
  hasRoomFor(len: number): boolean {
    return this.inUse + PREFIX_LEN + len + MARGIN + TAIL <= INBOX;
  }

  /** One more frame of the turn to come; a copy. */
  add(frame: Uint8Array, len: number): void {
    const { memory } = this.host!.arena;
    if (this.waiting.length === 0) this.decide();
    if (this.isRun) {
      memory.view.setUint32(this.inbox + this.inUse, len);
      this.inUse += PREFIX_LEN;
    }
    const at = this.inbox + this.inUse;
    memory.bytes.set(len === frame.length ? frame : frame.subarray(0, len), at);
    this.waiting.push(at, len);
    this.inUse += this.isRun ? len : len + MARGIN;
  }

  /** What the turn to come is like: the same whatever is taken of its frames at once. */
  private decide(): void {
    const { random } = this.parts;
    this.isRun = random.below(4) > 0;
    this.most = random.below(4) === 0 ? random.below(4) : 64;
    this.notOffered = random.below(40);
  }

  /** Within a turn: hands in what was added, also when the cable is out. Counts the verdicts in `verdicts`, by Drop. */
  handIn(verdicts: Float64Array): void {
    const { waiting } = this;
    const end = this.inUse + (this.isRun && waiting.length > 0 ? this.addTail() : 0);
    for (let i = 0; i < waiting.length; ) {
      const verdict = this.sink!.onFrame(waiting[i]!, waiting[i + 1]!);
      this.count(waiting[i + 1]!, verdict, verdicts);
      i += 2;
      if (this.isRun) i = this.offer(i, this.inbox + end, verdicts);
    }
    this.inUse = end;
  }

  /** Offers the frames from `i` on; the first that was not taken. */
  private offer(i: number, end: number, verdicts: Float64Array): number {
    const { waiting, run, parts } = this;
    // A link need not.
    if (i === 2 * this.notOffered) return i;
    run.at = waiting[i - 2]! + waiting[i - 1]!;
    run.end = end;
    run.most = this.most;
    this.sink!.onFrames?.(run);
    let next = i;
    let taken = 0;
    for (; next < waiting.length && waiting[next]! < run.at; next += 2) {
      this.count(waiting[next + 1]!, Drop.None, verdicts);
      taken++;
    }
    if (run.at !== waiting[next - 2]! + waiting[next - 1]!) throw new Error('a frame was taken in part');
    if (taken > run.most) throw new Error(`${taken} frames were taken of ${run.most}`);
    parts.trains.taken += taken;
    return next;
  }

  private count(len: number, verdict: Drop, verdicts: Float64Array): void {
    this.framesIn++;
    this.bytesIn += len;
    verdicts[verdict]! += 1;
  }

  /** What has come of the next frame: nothing, less than a length, a length that is none, its beginning. */
  private addTail(): number {
    const { waiting, parts } = this;
    const { view, bytes } = this.host!.arena.memory;
    const at = this.inbox + this.inUse;
    const what = parts.random.below(4);
    if (what === 0) return 0;
    view.setUint32(at, what === 1 ? 0xffffffff - parts.random.below(70) : waiting.at(-1)!);
    if (what < 3) return what === 1 ? PREFIX_LEN + parts.random.below(TAIL - PREFIX_LEN) : 3;
    const some = Math.min(TAIL - PREFIX_LEN, waiting.at(-1)! - 1);
    if (some < 0) return 0;
    bytes.copyWithin(at + PREFIX_LEN, waiting.at(-2)!, waiting.at(-2)! + some);
    return PREFIX_LEN + some;
  }

  /** After the turn: nobody may look at the frames any more. */
  takeBack(): void {
    if (this.waiting.length === 0) return;
    this.parts.watch().spoil(this.inbox, this.inUse + MARGIN);
    this.waiting.length = 0;
    this.inUse = MARGIN;
  }

  /** Within a turn: the cable is out. */
  goDown(): void {
    this.isUp = false;
    this.sink?.onLinkDown('unplugged');
  }

  /** Within a turn: there is room again. */
  hasRoom(): void {
    this.isFull = false;
    if (this.isUp) this.sink?.onLinkWritable();
  }

  reserve(maxLen: number): number {
    if (maxLen > OUTBOX - PREFIX_LEN || maxLen > Math.max(this.maxFrame, 60))
      throw new Error(`reserve of ${maxLen} bytes`);
    this.settle();
    this.reserved = this.isFull || !this.isUp ? -1 : maxLen;
    return this.reserved < 0 ? -1 : this.outbox + PREFIX_LEN;
  }

  commit(len: number): void {
    if (len > this.reserved) throw new Error(`commit of ${len} bytes, ${this.reserved} are reserved`);
    this.reserved = -1;
    this.host!.arena.memory.view.setUint32(this.outbox, len);
    this.frameLen = len;
    this.filled = PREFIX_LEN + len;
    this.host!.turn.wantFlush(this);
    this.parts.onOut(this.outbox + PREFIX_LEN, len);
  }

  /** Has room for all of them, as far as the outbox goes, or for some. */
  extend(len: number, count: number): number {
    if (this.isFull || !this.isUp) return 0;
    if (this.reserved >= 0 || len !== this.frameLen || this.filled !== PREFIX_LEN + len)
      throw new Error(`${count} more frames of ${len} bytes, behind one of ${this.frameLen}`);
    const random = this.parts.roomRandom;
    const most = Math.floor((OUTBOX - this.filled) / (PREFIX_LEN + len));
    const fit = Math.min(count, random.below(4) === 0 ? random.below(most + 1) : most);
    this.filled += fit * (PREFIX_LEN + len);
    this.parts.trains.made += fit;
    return fit;
  }

  send(off: number, len: number): boolean {
    this.settle();
    if (this.isFull || !this.isUp) return false;
    this.parts.onOut(off, len);
    return true;
  }

  flush(): void {
    this.settle();
  }

  /** Shows the frames that came behind the one that was committed, and spoils all. */
  private settle(): void {
    const { filled, frameLen: len } = this;
    this.filled = 0;
    this.frameLen = 0;
    if (filled === 0 || this.inbox < 0) return;
    const { view } = this.host!.arena.memory;
    for (let at = this.outbox + PREFIX_LEN + len; at < this.outbox + filled; at += PREFIX_LEN + len) {
      if (view.getUint32(at) !== len)
        throw new Error(`a length of ${view.getUint32(at)} before a frame of ${len}`);
      this.parts.onOut(at + PREFIX_LEN, len);
    }
    this.parts.watch().spoil(this.outbox, filled);
  }

  close(): Promise<void> {
    this.isUp = false;
    this.giveBack();
    return Promise.resolve();
  }

  /** The buffers go back; nothing comes in or goes out any more. */
  giveBack(): void {
    this.settle();
    if (this.inbox < 0) return;
    this.host!.arena.give(this.inbox, INBOX, this.account);
    this.host!.arena.give(this.outbox, OUTBOX, this.account);
    this.inbox = -1;
    this.sink = null;
  }
}
