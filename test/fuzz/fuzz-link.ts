// A guest's cable for the fuzzer. Frames of the guest lie in the arena between patterns and are spoiled as soon as the
// turn is over: they were lent. What the network sends is shown to whoever watches, then spoiled as well.

import { Account } from '../../src/base/arena.ts';
import type { Link, LinkHost, LinkSink } from '../../src/link/link.ts';
import type { ArenaWatch } from './arena-watch.ts';

/** Frames of one turn: bytes for all of them. */
const INBOX = 262144;
const OUTBOX = 131072;
/** Pattern in front of each frame and behind it. */
const MARGIN = 64;

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
  private readonly watch: () => ArenaWatch;
  private readonly onOut: FrameOut;
  private readonly account = new Account();
  private host: LinkHost | null = null;
  private sink: LinkSink | null = null;
  private inbox = -1;
  private outbox = -1;
  private reserved = -1;
  /** Where the frames of the turn to come lie, offset and length, and the bytes they need. */
  private readonly waiting: number[] = [];
  private inUse = MARGIN;

  /** `watch`: of the arena of the network that it will be attached to. */
  constructor(name: string, maxFrame: number, watch: () => ArenaWatch, onOut: FrameOut) {
    this.name = name;
    this.maxFrame = maxFrame;
    this.watch = watch;
    this.onOut = onOut;
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
    return this.inUse + len + MARGIN <= INBOX;
  }

  /** One more frame of the turn to come; a copy. */
  add(frame: Uint8Array, len: number): void {
    const at = this.inbox + this.inUse;
    this.host!.arena.memory.bytes.set(len === frame.length ? frame : frame.subarray(0, len), at);
    this.waiting.push(at, len);
    this.inUse += len + MARGIN;
  }

  /** Within a turn: hands in what was added, also when the cable is out. Counts the verdicts in `verdicts`, by Drop. */
  handIn(verdicts: Float64Array): void {
    const { waiting, sink } = this;
    for (let i = 0; i < waiting.length; i += 2) {
      this.framesIn++;
      this.bytesIn += waiting[i + 1]!;
      verdicts[sink!.onFrame(waiting[i]!, waiting[i + 1]!)]! += 1;
    }
  }

  /** After the turn: nobody may look at the frames any more. Throws where somebody has written around them. */
  takeBack(): void {
    if (this.waiting.length === 0) return;
    this.watch().spoil(this.inbox, this.inUse);
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
    if (maxLen > OUTBOX || maxLen > Math.max(this.maxFrame, 60))
      throw new Error(`reserve of ${maxLen} bytes`);
    this.reserved = this.isFull || !this.isUp ? -1 : maxLen;
    return this.reserved < 0 ? -1 : this.outbox;
  }

  commit(len: number): void {
    if (len > this.reserved) throw new Error(`commit of ${len} bytes, ${this.reserved} are reserved`);
    this.reserved = -1;
    this.onOut(this.outbox, len);
    this.watch().spoil(this.outbox, len);
  }

  send(off: number, len: number): boolean {
    if (this.isFull || !this.isUp) return false;
    this.onOut(off, len);
    return true;
  }

  flush(): void {}

  close(): Promise<void> {
    this.isUp = false;
    this.giveBack();
    return Promise.resolve();
  }

  /** The buffers go back; nothing comes in or goes out any more. */
  giveBack(): void {
    if (this.inbox < 0) return;
    this.host!.arena.give(this.inbox, INBOX, this.account);
    this.host!.arena.give(this.outbox, OUTBOX, this.account);
    this.inbox = -1;
    this.sink = null;
  }
}
