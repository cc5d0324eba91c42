// What a capture file holds, whichever format it has.

import type { Memory } from '../base/memory.ts';

/** An interface that frames were seen on. A classic capture has exactly one. */
export interface CaptureSource {
  /** Its place among the interfaces of the file, from 0; of all sections together. */
  readonly index: number;
  /** LINKTYPE_ number, 1 is Ethernet; of a classic file without the bits that tell of an FCS. */
  readonly linkType: number;
  /** Most bytes that were kept of a frame, as the file says; 0 means all. Not every file keeps its word. */
  readonly snapLen: number;
  /** pcapng if_name, its first 255 bytes; unfiltered: somebody else wrote it. */
  readonly name: string | null;
}

/** One packet of a capture. The object is reused and its bytes are lent: both are valid until the handler returns. */
export interface CaptureFrame {
  /** Its place among the packets of the file, from 1. */
  readonly number: number;
  /** Since 1970-01-01 UTC. 0 for a Simple Packet Block, which has no time. */
  readonly seconds: number;
  /** 0..999999999. */
  readonly nanoseconds: number;
  /** The captured bytes: [off, off+len) of `memory`. */
  readonly memory: Memory;
  readonly off: number;
  /** 0..262144. */
  readonly len: number;
  /** Its length on the wire. Nothing keeps a file from saying less than `len`. */
  readonly wireLen: number;
  readonly source: CaptureSource;
  /** pcapng opt_comment, unfiltered; usually the one empty list. */
  readonly comments: readonly string[];
}

/** A frame that is its holder's own. */
export interface KeptFrame {
  readonly number: number;
  readonly seconds: number;
  readonly nanoseconds: number;
  readonly bytes: Uint8Array;
  readonly wireLen: number;
  readonly source: CaptureSource;
  readonly comments: readonly string[];
}

/** Where and why reading stopped before the file's end. */
export interface CaptureDamage {
  /** Where the record begins that is at fault, bytes from the file's start. */
  readonly offset: number;
  /** One line of printable ASCII. */
  readonly reason: string;
}

/** The one empty list of comments. */
export const NO_COMMENTS: readonly string[] = [];
