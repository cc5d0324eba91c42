// Captures on their way to the disk. Bytes come in chunks of about a mebibyte, which are written behind the program's
// back, at most two at a time, whichever files they belong to; when the disk is slower than the frames, the next chunk is
// written synchronously, so that nothing is lost and memory stays bounded.
//
// A chunk holds whole records and is written at its own place in its file, in any order. When a write fails (the disk is
// full), that is reported once, and the file is cut off where the first chunk that failed began: what is left is a
// capture that every program reads, or an empty file.

import { closeSync, ftruncateSync, write, writeSync } from 'node:fs';
import { type Memory, memoryOver } from '../base/memory.ts';

/** What a chunk holds. */
export const CHUNK_LEN = 1 << 20;
/** Behind it there is room for what is added to records later. */
const SLACK_LEN = 4096;
const MAX_IN_FLIGHT = 2;

/** One file that is being written. */
export class DiskFile {
  readonly path: string;
  readonly fd: number;
  /** Records that were put into chunks of it. */
  frames = 0;
  /** Where the next chunk goes. */
  position = 0;
  inFlight = 0;
  /** Its last chunk was submitted. */
  isEnded = false;
  isClosed = false;
  /** Once a write failed: the length and the frames up to which the file is whole. */
  wholeLength = Number.POSITIVE_INFINITY;
  wholeFrames = Number.POSITIVE_INFINITY;

  constructor(path: string, fd: number) {
    this.path = path;
    this.fd = fd;
  }

  get failed(): boolean {
    return this.wholeLength !== Number.POSITIVE_INFINITY;
  }
}

export interface Chunk {
  readonly memory: Memory;
  /** No two chunks of a disk have the same, a chunk that is used again included. */
  serial: number;
  file: DiskFile;
  length: number;
  /** Nothing comes behind it in its file. */
  isLast: boolean;
  /** Where it goes, once it was submitted. */
  position: number;
  /** Records in its file before its first one. */
  framesBefore: number;
}

export class CaptureDisk {
  /** A write failed. What comes now is no use. */
  failed = false;
  private readonly onFailure: (path: string, error: unknown) => void;
  private readonly inFlight = new Set<Chunk>();
  private readonly spare: Memory[] = [];
  private readonly failedFiles = new Set<DiskFile>();
  private serial = 0;
  private onIdle: (() => void) | null = null;

  /** `onFailure` is called for the first write that failed, and for files that cannot be closed. */
  constructor(onFailure: (path: string, error: unknown) => void) {
    this.onFailure = onFailure;
  }

  /** Records that were submitted and are not in their file. */
  get lost(): number {
    let lost = 0;
    for (const file of this.failedFiles) lost += file.frames - file.wholeFrames;
    return lost;
  }

  get isBusy(): boolean {
    return this.inFlight.size >= MAX_IN_FLIGHT;
  }

  /** An empty chunk for `file`. */
  newChunk(file: DiskFile): Chunk {
    const memory = this.spare.pop() ?? memoryOver(Buffer.allocUnsafeSlow(CHUNK_LEN + SLACK_LEN));
    const serial = this.serial++;
    return { memory, serial, file, length: 0, isLast: false, position: 0, framesBefore: file.frames };
  }

  /** The chunk goes to the disk, behind those of its file that were submitted before. `now`: it is there on return. */
  submit(chunk: Chunk, now = false): void {
    const { file } = chunk;
    chunk.position = file.position;
    file.position += chunk.length;
    if (chunk.isLast) file.isEnded = true;
    // Behind a chunk that is missing there is nothing to be written.
    if (chunk.length === 0 || file.failed) this.release(chunk);
    else if (now || this.isBusy) {
      this.writeNow(chunk);
      this.release(chunk);
    } else {
      this.inFlight.add(chunk);
      file.inFlight++;
      this.writeRest(chunk, 0);
    }
  }

  /** What is under way is there on return. Writing a chunk a second time at its place changes nothing. */
  flushSync(): void {
    for (const chunk of [...this.inFlight]) this.writeNow(chunk);
  }

  /** Resolves when nothing is under way. */
  async idle(): Promise<void> {
    if (this.inFlight.size > 0) await new Promise<void>((resolve) => (this.onIdle = resolve));
  }

  private release(chunk: Chunk): void {
    const { file } = chunk;
    this.spare.push(chunk.memory);
    if (!file.isEnded || file.inFlight > 0 || file.isClosed) return;
    file.isClosed = true;
    try {
      if (file.failed) ftruncateSync(file.fd, file.wholeLength);
      closeSync(file.fd);
    } catch (error) {
      this.onFailure(file.path, error);
    }
  }

  private writeNow({ file, memory, length, position, framesBefore }: Chunk): void {
    try {
      for (let done = 0; done < length; ) {
        done += writeSync(file.fd, memory.bytes, done, length - done, position + done);
      }
    } catch (error) {
      this.fail(file, position, framesBefore, error);
    }
  }

  private writeRest(chunk: Chunk, from: number): void {
    const { file, memory, length, position, framesBefore } = chunk;
    write(file.fd, memory.bytes, from, length - from, position + from, (error, written) => {
      if (error === null && written < length - from) {
        this.writeRest(chunk, from + written);
        return;
      }
      if (error !== null) this.fail(file, position, framesBefore, error);
      this.inFlight.delete(chunk);
      file.inFlight--;
      this.release(chunk);
      if (this.inFlight.size === 0) this.onIdle?.();
    });
  }

  private fail(file: DiskFile, position: number, framesBefore: number, error: unknown): void {
    const isFirst = !this.failed;
    this.failed = true;
    this.failedFiles.add(file);
    file.wholeLength = Math.min(file.wholeLength, position);
    file.wholeFrames = Math.min(file.wholeFrames, framesBefore);
    if (isFirst) this.onFailure(file.path, error);
  }
}
