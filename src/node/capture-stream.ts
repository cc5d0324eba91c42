// Records on their way into files: gathered in chunks (capture-disk.ts), from one file to the next when it is full.
//
// Why a frame from a guest was dropped is known when its record is written already, and records of its answers behind it.
// So write() gives a ticket for such a record, and settle() puts the reason into it where it lies and moves up what is
// behind it: a question stays before its answer. For that its chunk must not leave for the disk in between. A chunk that
// fills up while a ticket is out is held until it is settled. That is one chunk at most: when another one fills up, as when
// a frame is flooded to hundreds of guests, both go, the record stays without its reason, and that is counted. Chunks have
// some room that records do not take, so that there is always some for a reason.
//
// A file has its header, an interface for each link from where it first shows, and statistics of its links at its end.

import type { Drop } from '../base/drop.ts';
import type { Memory } from '../base/memory.ts';
import type { Direction } from '../link/link.ts';
import { ConfigError } from '../network/config.ts';
import { CaptureDisk, CHUNK_LEN, type Chunk, DiskFile } from './capture-disk.ts';
import { checkPlace, openCaptureFile, reasonOf, replaceCaptureFile, ringPaths } from './capture-place.ts';
import type { CaptureSettings } from './capture-settings.ts';

const IDLE_WRITE_MS = 1000;
/** A ticket is the serial of its chunk and the place in it. */
const TICKET_SPAN = 2 ** 24;
const NO_TICKET = -1;
/** Links of a file that have an interface of their own; those that come after them share one. */
const MAX_INTERFACES = 1024;
const OTHER_LINKS = 'other links';

/** A link in one file. */
export interface LinkInFile {
  readonly block: Uint8Array;
  /** -1: it has not shown yet. */
  interfaceId: number;
  seen: number;
  kept: number;
}

export interface StreamEvents {
  /** A write failed. Called once. */
  onError(message: string): void;
  /** The one file there is has no room. Called once. */
  onFull(message: string): void;
}

export class CaptureStream {
  /** Records that were asked for. */
  asked = 0;
  /** Of them, those that came when the one file there is was full. */
  afterFull = 0;
  /** Reasons that could not be put into their record any more. */
  reasonsLost = 0;
  private readonly settings: CaptureSettings;
  private readonly events: StreamEvents;
  private readonly disk = new CaptureDisk((path, error) => this.report(path, error));
  private readonly paths: readonly string[];
  /** How many files there were. */
  private opened = 0;
  private file: DiskFile;
  private links = new Map<string, LinkInFile>();
  private interfaces = 0;
  /** Of `file`, what is in chunks included. */
  private fileLength = 0;
  private current: Chunk;
  private held: Chunk | null = null;
  /** Tickets that are out. */
  private waiting = 0;
  private lastWallMs = 0;
  /** What the record being written says of its frame, see FrameOrigin. */
  private readonly origin = {
    interfaceId: 0,
    direction: 'from-guest' as Direction,
    comment: null as Uint8Array | null,
  };
  private isFull = false;
  /** The next file could not be opened. */
  private isBroken = false;
  private afterFailure = 0;
  private hasReported = false;
  private timer: NodeJS.Timeout | null = null;

  /** Opens the first file. Throws a ConfigError that names the option when it, or a later one, has no place there. */
  constructor(path: string, settings: CaptureSettings, events: StreamEvents) {
    this.settings = settings;
    this.events = events;
    this.paths = settings.files === 0 ? [path] : ringPaths(path, settings.files);
    this.file = this.openFirst();
    this.current = this.disk.newChunk(this.file);
    this.begin();
  }

  /** Records that are not in a file because it could not be written. */
  get lost(): number {
    return this.afterFailure + this.disk.lost;
  }

  /** `name` in the file that the next record goes to. */
  linkInFile(name: string): LinkInFile {
    const known = this.links.get(name);
    if (known !== undefined) return known;
    if (this.links.size >= MAX_INTERFACES && name !== OTHER_LINKS) return this.linkInFile(OTHER_LINKS);
    const link = { block: this.settings.writer.interfaceBlock(name), interfaceId: -1, seen: 0, kept: 0 };
    this.links.set(name, link);
    return link;
  }

  /**
   * Records the frame at [off, off+len) of `memory`, lent for the call. Returns a ticket where settle() is to say what
   * became of the frame, or -1.
   */
  write(
    name: string,
    direction: Direction,
    memory: Memory,
    off: number,
    len: number,
    wallMs: number,
    comment: Uint8Array | null,
  ): number {
    this.asked++;
    if (this.isFull || this.isBroken || this.disk.failed) return this.leaveOut();
    const { writer } = this.settings;
    const recordLen = writer.recordLen(len, comment);
    const dropLen = direction === 'from-guest' ? writer.maxDropLen : 0;
    if (!this.fits(name, recordLen + dropLen) && !this.nextFile()) return this.leaveOut();
    const link = this.linkInFile(name);
    if (link.interfaceId < 0) this.announce(link);
    link.seen++;
    link.kept++;
    const chunk = this.chunkFor(recordLen);
    const at = chunk.length;
    const { origin } = this;
    origin.interfaceId = link.interfaceId;
    origin.direction = direction;
    origin.comment = comment;
    chunk.length = writer.record(chunk.memory, at, memory, off, len, wallMs, origin);
    this.fileLength += recordLen;
    this.file.frames++;
    this.lastWallMs = wallMs;
    this.armTimer();
    if (dropLen === 0) return NO_TICKET;
    this.waiting++;
    return chunk.serial * TICKET_SPAN + at;
  }

  /** What became of the frame of that ticket; tickets come back in the inverse order, or not at all. */
  settle(ticket: number, drop: Drop): void {
    const chunk = this.chunkOf(ticket);
    const { writer } = this.settings;
    if (chunk === null || chunk.length + writer.maxDropLen > chunk.memory.bytes.length) {
      if (drop > 0) this.reasonsLost++;
      if (chunk === null) return;
    } else if (drop > 0) {
      const longer = writer.addDrop(chunk.memory, ticket % TICKET_SPAN, chunk.length, drop);
      chunk.length += longer;
      if (chunk.file === this.file) this.fileLength += longer;
    }
    this.waiting--;
    if (this.waiting === 0) this.letGo();
  }

  /** Writes everything now. */
  flushSync(): void {
    this.stopTimer();
    this.disk.flushSync();
    this.letGo(true);
    this.submitCurrent(true);
  }

  /** Ends the last file. Never rejects: a write that fails is reported as always. */
  async close(): Promise<void> {
    this.stopTimer();
    this.waiting = 0;
    this.letGo();
    if (!this.isFull && !this.isBroken) this.endFile(this.file);
    await this.disk.idle();
  }

  private leaveOut(): number {
    if (this.isFull) this.afterFull++;
    else this.afterFailure++;
    return NO_TICKET;
  }

  /** Is there room in the file for a record of `recordLen` bytes, and what then has to come before and after it? */
  private fits(name: string, recordLen: number): boolean {
    const { size, writer } = this.settings;
    if (this.file.frames === 0 || size === Number.POSITIVE_INFINITY) return true;
    const link = this.linkInFile(name);
    const isNew = link.interfaceId < 0;
    const before = isNew ? link.block.length : 0;
    const after =
      this.waiting * writer.maxDropLen + (this.interfaces + (isNew ? 1 : 0)) * writer.statisticsLen;
    return this.fileLength + before + recordLen + after <= size;
  }

  private announce(link: LinkInFile): void {
    link.interfaceId = this.interfaces++;
    this.append(link.block);
  }

  /** False when there is none. Whoever is told of that finds the last file ended. */
  private nextFile(): boolean {
    const { option, files, size } = this.settings;
    if (files === 0) {
      this.isFull = true;
      this.endFile(this.file);
      this.events.onFull(`${option}: ${this.file.path}: has its ${size} bytes, nothing more is recorded`);
      return false;
    }
    const path = this.paths[(this.opened + 1) % files]!;
    let fd: number;
    try {
      fd = replaceCaptureFile(path);
    } catch (error) {
      this.isBroken = true;
      this.endFile(this.file);
      this.report(path, error);
      return false;
    }
    this.opened++;
    this.endFile(new DiskFile(path, fd));
    this.begin();
    return true;
  }

  private openFirst(): DiskFile {
    let path = '';
    try {
      for (path of this.paths.slice(1)) checkPlace(path);
      path = this.paths[0]!;
      return new DiskFile(path, openCaptureFile(path));
    } catch (error) {
      throw new ConfigError(this.settings.option, `${path}: ${reasonOf(error)}`);
    }
  }

  /** `file` is a new one. */
  private begin(): void {
    this.links = new Map();
    this.interfaces = 0;
    this.fileLength = 0;
    this.append(this.settings.writer.header());
    this.armTimer();
  }

  /** Nothing more comes in `file`; what comes goes to `next`. */
  private endFile(next: DiskFile): void {
    const { writer } = this.settings;
    for (const link of this.links.values()) {
      if (link.interfaceId >= 0) this.append(writer.statisticsBlock(link, this.lastWallMs));
    }
    this.current.isLast = true;
    this.file = next;
    this.turnOver();
  }

  private append(block: Uint8Array): void {
    const chunk = this.chunkFor(block.length);
    chunk.memory.bytes.set(block, chunk.length);
    chunk.length += block.length;
    this.fileLength += block.length;
  }

  /** The current chunk, with room for `len` bytes. */
  private chunkFor(len: number): Chunk {
    if (this.current.length + len > CHUNK_LEN) this.turnOver();
    return this.current;
  }

  /** The current chunk leaves, or is held; an empty one takes its place. */
  private turnOver(): void {
    if (this.waiting > 0 && this.held === null) {
      this.held = this.current;
      this.current = this.disk.newChunk(this.file);
      return;
    }
    this.waiting = 0;
    this.letGo();
    this.submitCurrent(false);
  }

  private letGo(now = false): void {
    if (this.held !== null) this.disk.submit(this.held, now);
    this.held = null;
  }

  private submitCurrent(now: boolean): void {
    this.waiting = 0;
    this.stopTimer();
    this.disk.submit(this.current, now);
    this.current = this.disk.newChunk(this.file);
  }

  /** Where the record of that ticket lies, null when it has left. */
  private chunkOf(ticket: number): Chunk | null {
    const serial = Math.floor(ticket / TICKET_SPAN);
    if (this.current.serial === serial) return this.current;
    return this.held?.serial === serial ? this.held : null;
  }

  private report(path: string, error: unknown): void {
    if (this.hasReported) return;
    this.hasReported = true;
    this.events.onError(`${this.settings.option}: ${path}: ${reasonOf(error)}`);
  }

  private armTimer(): void {
    this.timer ??= setTimeout(() => {
      this.timer = null;
      if (this.disk.isBusy) {
        this.armTimer();
        return;
      }
      // Between turns nobody waits for a verdict.
      this.letGo();
      this.submitCurrent(false);
    }, IDLE_WRITE_MS).unref();
  }

  private stopTimer(): void {
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
  }
}
