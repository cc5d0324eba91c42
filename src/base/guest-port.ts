// What the layers above see of the switch: a place to send frames to.

import type { Account } from './arena.ts';

/** Where frames leave: a switch port, or the embedded guest's end of its cable. */
export interface FrameOut {
  /** Room for a frame of up to `maxLen` bytes: its offset in the arena, or -1 when there is none. */
  reserve(maxLen: number): number;
  /** Sends the frame built there, `len` bytes of it. */
  commit(len: number): void;
  /**
   * Room for up to `count` more frames of `len` bytes right behind the one of as many that was committed last, with QEMU's
   * prefix before each: how many there is room for. They count as sent, and whoever asked writes them, prefixes included,
   * before it does anything else. Where there is no such thing, frames go one by one.
   */
  extend?(len: number, count: number): number;
}

/** One guest's port. */
export interface GuestPort extends FrameOut {
  /** Never used twice in one network. */
  readonly id: number;
  /** What the guest's flows hold of the arena. */
  readonly account: Account;
}

export interface GuestPorts {
  /** undefined when the port has gone. */
  port(id: number): GuestPort | undefined;
  allPorts(): Iterable<GuestPort>;
}
