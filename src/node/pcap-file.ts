// A recorder that writes a classic capture file. Records are gathered in chunks of a mebibyte and written behind the
// program's back, at most two chunks at a time; when the disk is slower than the frames, the next chunk is written
// synchronously, so that nothing is lost and memory stays bounded. A chunk that does not fill is written after a second.
//
// A chunk holds whole records and is written at its own place in the file, in any order. When a write fails (the disk is
// full), that is reported once, later frames are counted as lost, and close() cuts the file off where the first chunk
// that failed began: what is left is a capture that every program reads.

import {
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  ftruncateSync,
  openSync,
  type Stats,
  statSync,
  write,
  writeSync,
} from 'node:fs';
import { getSystemErrorMap } from 'node:util';
import { type Memory, memoryOver } from '../base/memory.ts';
import type { FrameRecorder } from '../link/capture.ts';
import type { Direction } from '../link/link.ts';
import { ConfigError } from '../network/config.ts';
import { type PcapOptions, PcapWriter } from '../pcap/writer.ts';

const CHUNK_LEN = 1 << 20;
const MAX_IN_FLIGHT = 2;
const IDLE_WRITE_MS = 1000;

export interface PcapFileOptions extends PcapOptions {
  /** How the user asked for it, for messages. Default '--pcap'. */
  readonly option?: string;
  /** Called once, when a write failed. `message` is one line that names option and file. */
  readonly onError?: (message: string) => void;
}

interface Chunk {
  readonly memory: Memory;
  /** Where it goes in the file. */
  position: number;
  length: number;
  /** Frames recorded before its first one. */
  framesBefore: number;
}

export class PcapFile implements FrameRecorder {
  readonly path: string;
  private readonly option: string;
  private readonly onError: (message: string) => void;
  private readonly writer: PcapWriter;
  private readonly fd: number;
  private current: Chunk;
  private readonly inFlight = new Set<Chunk>();
  private readonly spare: Chunk[] = [];
  private recorded = 0;
  /** Once a write failed: the length and the frames up to which the file is whole. */
  private wholeLength = Number.POSITIVE_INFINITY;
  private wholeFrames = Number.POSITIVE_INFINITY;
  private timer: NodeJS.Timeout | null = null;
  private closed = false;
  private onIdle: (() => void) | null = null;

  /**
   * Creates the file, or empties the one that is there; either way only its owner may read it from then on (0600).
   * Throws a ConfigError that names the option when `path` is no place for a file.
   */
  constructor(path: string, options: PcapFileOptions = {}) {
    this.path = path;
    this.option = options.option ?? '--pcap';
    this.onError = options.onError ?? (() => {});
    this.writer = new PcapWriter(options);
    this.fd = openForWriting(path, this.option);
    this.current = newChunk();
    const header = this.writer.header();
    this.current.memory.bytes.set(header);
    this.current.length = header.length;
    this.armTimer();
  }

  /** Frames that are in the file, or on their way there. */
  get frames(): number {
    return Math.min(this.recorded, this.wholeFrames);
  }

  /** Frames that are not in the file because it could not be written. */
  get lost(): number {
    return this.recorded - this.frames;
  }

  record(_direction: Direction, memory: Memory, off: number, len: number, wallMs: number): void {
    if (this.closed) return;
    this.recorded++;
    if (this.failed) return;
    if (this.current.length + this.writer.recordLen(len) > CHUNK_LEN) {
      this.submit();
      this.current.framesBefore = this.recorded - 1;
    }
    const { current } = this;
    current.length = this.writer.record(current.memory, current.length, memory, off, len, wallMs);
    this.armTimer();
  }

  /** Writes what is left and closes the file. Never rejects: a write that fails is reported as always. */
  async close(): Promise<void> {
    if (this.closed) return;
    this.closed = true;
    this.stopTimer();
    if (this.current.length > 0) this.submit();
    if (this.inFlight.size > 0) await new Promise<void>((resolve) => (this.onIdle = resolve));
    try {
      if (this.failed) ftruncateSync(this.fd, this.wholeLength);
      closeSync(this.fd);
    } catch (error) {
      this.report(error);
    }
  }

  /** Writes everything now, for a program that is about to end without close(). */
  flushSync(): void {
    if (this.closed) return;
    // Writing a chunk a second time at its place changes nothing.
    for (const chunk of [...this.inFlight]) this.writeNow(chunk);
    if (this.current.length > 0) this.submit(true);
  }

  /** The current chunk goes to the disk, an empty one takes its place. */
  private submit(now = false): void {
    const chunk = this.current;
    const next = this.spare.pop() ?? newChunk();
    next.position = chunk.position + chunk.length;
    next.length = 0;
    next.framesBefore = this.recorded;
    this.current = next;
    this.stopTimer();
    if (now || this.inFlight.size >= MAX_IN_FLIGHT) {
      this.writeNow(chunk);
      this.spare.push(chunk);
    } else {
      this.inFlight.add(chunk);
      this.writeRest(chunk, 0);
    }
  }

  private writeNow(chunk: Chunk): void {
    try {
      for (let done = 0; done < chunk.length; ) {
        done += writeSync(this.fd, chunk.memory.bytes, done, chunk.length - done, chunk.position + done);
      }
    } catch (error) {
      this.fail(chunk, error);
    }
  }

  private writeRest(chunk: Chunk, from: number): void {
    const rest = chunk.length - from;
    write(this.fd, chunk.memory.bytes, from, rest, chunk.position + from, (error, written) => {
      if (error === null && written < rest) {
        this.writeRest(chunk, from + written);
        return;
      }
      if (error !== null) this.fail(chunk, error);
      this.inFlight.delete(chunk);
      this.spare.push(chunk);
      if (this.inFlight.size === 0) this.onIdle?.();
    });
  }

  private get failed(): boolean {
    return this.wholeLength !== Number.POSITIVE_INFINITY;
  }

  /** The chunk is not in the file, and what comes behind it is no use. */
  private fail(chunk: Chunk, error: unknown): void {
    const isFirst = !this.failed;
    this.wholeLength = Math.min(this.wholeLength, chunk.position);
    this.wholeFrames = Math.min(this.wholeFrames, chunk.framesBefore);
    if (isFirst) this.report(error);
  }

  private report(error: unknown): void {
    this.onError(`${this.option}: ${this.path}: ${reasonOf(error)}`);
  }

  private armTimer(): void {
    this.timer ??= setTimeout(() => {
      this.timer = null;
      if (this.inFlight.size >= MAX_IN_FLIGHT) this.armTimer();
      else if (this.current.length > 0) this.submit();
    }, IDLE_WRITE_MS).unref();
  }

  private stopTimer(): void {
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
  }
}

function newChunk(): Chunk {
  return { memory: memoryOver(Buffer.allocUnsafeSlow(CHUNK_LEN)), position: 0, length: 0, framesBefore: 0 };
}

/** Only a regular file. O_NONBLOCK keeps the open from waiting, should the path become a named pipe just now. */
function openForWriting(path: string, option: string): number {
  const { O_WRONLY, O_CREAT, O_NONBLOCK } = constants;
  try {
    refuseOthers(statSync(path, { throwIfNoEntry: false }));
    const fd = openSync(path, O_WRONLY | O_CREAT | O_NONBLOCK, 0o600);
    const stat = fstatSync(fd);
    refuseOthers(stat);
    // An old file has the mode it had. Somebody else's, whose mode is not ours to change, is refused.
    if ((stat.mode & 0o777) !== 0o600) fchmodSync(fd, 0o600);
    ftruncateSync(fd);
    return fd;
  } catch (error) {
    throw new ConfigError(option, `${path}: ${reasonOf(error)}`);
  }
}

function refuseOthers(stat: Stats | undefined): void {
  if (stat !== undefined && !stat.isFile()) throw new Error(`is ${kindOf(stat)}, not a file`);
}

function kindOf(stat: Stats): string {
  if (stat.isDirectory()) return 'a directory';
  if (stat.isFIFO()) return 'a named pipe';
  return stat.isSocket() ? 'a socket' : 'a device';
}

/** `no space left on device`: the system's own words, without the name of the call. */
function reasonOf(error: unknown): string {
  const { errno, message } = error as NodeJS.ErrnoException;
  return (errno === undefined ? undefined : getSystemErrorMap().get(errno)?.[1]) ?? message;
}
