// Captures that a program keeps in files: which frames, of which links. The records go the way of capture-stream.ts.

import { Drop } from '../base/drop.ts';
import type { Memory } from '../base/memory.ts';
import { utf8Bytes } from '../base/utf8.ts';
import type { FrameRecorder, LinkRecorder } from '../link/capture.ts';
import type { Direction } from '../link/link.ts';
import type { FrameFilter } from '../pcap/filter.ts';
import { MAX_TEXT_LEN } from '../pcap/writer-ng.ts';
import { type CaptureSettings, checkCapture, type PcapFileOptions } from './capture-settings.ts';
import { CaptureStream } from './capture-stream.ts';

export type { CaptureFormat, PcapFileOptions } from './capture-settings.ts';

/**
 * Records the frames of any links, of one network or several:
 *
 *     const capture = new PcapFile('session.pcapng', { filter: 'udp port 53' });
 *     network.attach(captureLink(link, capture));
 *     ...
 *     await capture.close();
 *
 * A link's name is its interface in a pcapng file; links of one name are one interface, and beyond 1024 of a file they
 * share one. What a guest sends is inbound there, what it gets is outbound; a frame that the network dropped has the
 * reason as its comment, `dropped: TcpNoFlow`. A frame between two guests is there twice, from the one and to the other.
 *
 * At most five chunks of a mebibyte are in memory. What is recorded is in the file within about a second.
 */
export class PcapFile implements LinkRecorder {
  readonly path: string;
  private readonly settings: CaptureSettings;
  private readonly stream: CaptureStream;
  /** Of `links`, those of which none was there yet. */
  private readonly awaited: Set<string>;
  private isClosed = false;

  /**
   * Creates the file, or empties the one that is there; either way only its owner may read it from then on (0600), and
   * the same holds for further files. Throws a ConfigError that names the option when `path` is no place for a file, or
   * a setting is out of range.
   */
  constructor(path: string, options: PcapFileOptions = {}) {
    this.path = path;
    this.settings = checkCapture(path, options);
    this.awaited = new Set(options.links);
    this.stream = new CaptureStream(path, this.settings, {
      onError: options.onError ?? (() => {}),
      onFull: options.onFull ?? (() => {}),
    });
  }

  /** The most bytes that are kept of a frame. */
  get snapLen(): number {
    return this.settings.writer.snapLen;
  }

  /** Frames that were recorded: in a file, or on their way there. Those that newer ones have replaced are counted. */
  get frames(): number {
    const { asked, afterFull, lost } = this.stream;
    return asked - afterFull - lost;
  }

  /** Frames that are not in a file because it could not be written. */
  get lost(): number {
    return this.stream.lost;
  }

  /** Frames that came when the file had its `size`. */
  get afterFull(): number {
    return this.stream.afterFull;
  }

  /**
   * Frames that were dropped, and whose record does not say why: it had left for the disk when the verdict came. That
   * takes more than a mebibyte of frames between the two, as when a frame is flooded to hundreds of guests.
   */
  get reasonsLost(): number {
    return this.stream.reasonsLost;
  }

  /** Names of `links` that no link has had so far. */
  get linksMissing(): readonly string[] {
    return [...this.awaited];
  }

  /** What keeps the frames of `link`, or null where `links` does not name it. captureLink() asks for it. */
  recorderOf(link: { readonly name: string }): PcapLink | null {
    const { links, filter } = this.settings;
    this.awaited.delete(link.name);
    return links?.has(link.name) === false ? null : new PcapLink(link.name, this.stream, filter, this);
  }

  /** Writes what is left and closes the file. Never rejects: a write that fails is reported as always. */
  async close(): Promise<void> {
    if (this.isClosed) return;
    this.isClosed = true;
    await this.stream.close();
  }

  /** Writes everything now, for a program that is about to end without close(), or before it is done. */
  flushSync(): void {
    this.stream.flushSync();
  }

  get closed(): boolean {
    return this.isClosed;
  }
}

/** Records the frames of one link. */
export class PcapLink implements FrameRecorder {
  private readonly name: string;
  private readonly stream: CaptureStream;
  private readonly filter: FrameFilter | null;
  private readonly file: PcapFile;
  /** Of the last frame from the guest, until its verdict. */
  private ticket = -1;

  constructor(name: string, stream: CaptureStream, filter: FrameFilter | null, file: PcapFile) {
    this.name = name;
    this.stream = stream;
    this.filter = filter;
    this.file = file;
  }

  /**
   * See FrameRecorder. `comment`, for who records frames himself, is one of the frame in a pcapng file; what of it is
   * beyond 65535 bytes is cut off. The reason of a drop is a second one.
   */
  record(direction: Direction, memory: Memory, off: number, len: number, wallMs: number, comment = ''): void {
    if (this.file.closed) return;
    // The network threw over the frame before.
    if (direction === 'from-guest') this.verdict(Drop.None);
    if (this.filter !== null && !this.filter.matches(memory, off, len, len)) {
      this.stream.linkInFile(this.name).seen++;
      return;
    }
    const bytes = comment === '' ? null : utf8Bytes(comment, MAX_TEXT_LEN);
    const ticket = this.stream.write(this.name, direction, memory, off, len, wallMs, bytes);
    if (direction === 'from-guest') this.ticket = ticket;
  }

  verdict(drop: Drop): void {
    if (this.ticket < 0) return;
    const { ticket } = this;
    this.ticket = -1;
    this.stream.settle(ticket, drop);
  }
}
