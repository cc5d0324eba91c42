// Where frames come from and go to. A link is one guest's cable: QEMU's stream socket, the in-memory pair, a TAP. The
// switch plugs a sink into it. Bytes are always in the network's arena, so a frame is an offset and a length.

import type { Arena } from '../base/arena.ts';
import type { Clock } from '../base/clock.ts';
import type { Drop } from '../base/drop.ts';
import type { FrameRun } from '../base/frame-run.ts';
import type { Memory } from '../base/memory.ts';
import type { Timers } from '../base/timers.ts';
import type { Flushable, Turn } from '../base/turn.ts';
import type { FaultStats } from './fault-stats.ts';

/** Of a frame, as the guest sees it. */
export type Direction = 'from-guest' | 'to-guest';

/** What a guest's cable is plugged into: a switch port, a capture around one, a test. */
export interface LinkSink {
  /**
   * One Ethernet frame from the guest, without FCS, at [off, off+len) in the arena. Called inside a turn's ingress.
   * Lent: the bytes are valid until this call returns.
   * @returns the verdict on it, for whoever watches the link: Drop.None when it has reached what it was for, or was kept
   * for later and has no verdict yet.
   */
  onFrame(off: number, len: number): Drop;

  /**
   * Offers the frames behind the one that onFrame() has just been called with: takes as many as are another of the same,
   * without a call for each. Their verdict is Drop.None. Lent as there. Who does not have this, or takes none, gets them
   * one by one.
   */
  onFrames?(frames: FrameRun): void;

  /** There is room again after reserve() or send() said no. Called inside a turn's ingress. */
  onLinkWritable(): void;

  /** The cable is out. Nothing comes after this. `reason` is for a human. Called inside a turn's ingress. */
  onLinkDown(reason: string): void;
}

/** What a network lends to a link that is attached to it. */
export interface LinkHost {
  readonly arena: Arena;
  readonly turn: Turn;
  readonly clock: Clock;
  readonly timers: Timers;
}

/** Frames for the guest that a link has taken and its other side has not. Counted since the link was opened. */
export interface LinkLosses {
  /** Because the guest's card was down. */
  readonly whileDown: number;
  /** For another reason: the system had no memory, as a rule. */
  readonly refused: number;
}

/** One guest's cable. Takes its buffers from the arena in attach() and gives them back when it is down. */
export interface Link extends Flushable {
  /** For logs and statistics, e.g. "qemu0". Unique in one network. */
  readonly name: string;

  /** Largest frame in bytes it can take, Ethernet header included, FCS excluded. */
  readonly maxFrame: number;

  /** Of a link that is bad on purpose and attached: what it has done so far. */
  readonly faults?: FaultStats | undefined;

  /** Of a link that has nobody to wait for it where frames do not fit: what it has lost so far. A wrapper passes it on. */
  readonly losses?: LinkLosses | undefined;

  /** Called once, before the first frame. Throws when the arena has no room for the link's buffers. */
  attach(sink: LinkSink, host: LinkHost): void;

  /**
   * Room for one frame of up to `maxLen` bytes for the guest: its offset, or -1 when the queue is full (then
   * onLinkWritable follows). Write the frame there and commit() it; a reserve() without a commit() is forgotten.
   */
  reserve(maxLen: number): number;

  /** Queues the reserved frame, `len` bytes of it, and asks the turn to flush. Never calls the sink. */
  commit(len: number): void;

  /**
   * Queues up to `count` more frames of `len` bytes right behind the one of as many that was committed last, QEMU's prefix
   * before each: as many as fit there. The caller writes them, prefixes included, before it does anything else. For
   * links that keep their frames so; for others they are reserved one by one.
   */
  extend?(len: number, count: number): number;

  /** Queues a copy of the frame at [off, off+len). False when the queue is full. Never calls the sink. */
  send(off: number, len: number): boolean;

  /**
   * Pulls the cable out from our side: queued frames may be lost, the sink is not called any more, except that a link
   * may still say onLinkDown(), once. For whoever the link is attached to; a network does it in detach(). Resolves when
   * the arena has the link's buffers back; that may take until the operating system is done with them. Idempotent.
   */
  close(): Promise<void>;

  /**
   * After a throw out of a turn: shows what the link's buffers still hold, without any cost before. That is the frames
   * of the last chunk from the guest, up to the one that was being passed on, and those to the guest that are not
   * handed over yet; of each direction the oldest first. Lent for the call.
   */
  recall?(show: ShowFrame): void;
}

/** One frame at [off, off+len) of `memory`. */
export type ShowFrame = (direction: Direction, memory: Memory, off: number, len: number) => void;
