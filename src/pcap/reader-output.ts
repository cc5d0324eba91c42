// What the readers of the two formats write to: the one frame, its handler, and the damage that ends reading.

import { type Memory, memoryOver } from '../base/memory.ts';
import { type CaptureDamage, type CaptureFrame, type CaptureSource, NO_COMMENTS } from './frames.ts';

/** Refilled for each frame. */
export class FrameSlot implements CaptureFrame {
  number = 0;
  seconds = 0;
  nanoseconds = 0;
  memory: Memory = memoryOver(new Uint8Array(0));
  off = 0;
  len = 0;
  wireLen = 0;
  source: CaptureSource = { index: 0, linkType: 0, snapLen: 0, name: null };
  comments: readonly string[] = NO_COMMENTS;
}

export interface ReaderOutput {
  readonly frame: FrameSlot;
  readonly onFrame: (frame: CaptureFrame) => void;
  readonly onSource: (source: CaptureSource) => void;
  /** Once set, nothing more is read. */
  damage: CaptureDamage | null;
}

/** A reader of one of the formats. */
export interface FormatReader {
  /** What the file is made of, for messages: `record`. */
  readonly unit: string;
  /** After take(): how many bytes from where it stopped it has to see to get further, at least. */
  readonly needed: number;
  /** Where the unit began whose rest take() passes over unseen, bytes from the file's start; -1 when it does not. */
  readonly passingAt: number;
  /**
   * Takes what is whole of [off, end) and returns where the first incomplete unit begins. The byte at `off` has
   * place `base + off` in the file.
   */
  take(memory: Memory, off: number, end: number, base: number): number;
}
