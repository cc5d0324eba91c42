// A story of frames and verdicts as a network would tell it to a capture, and what the capture has to hold afterwards.

import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Drop, dropNames } from '../../src/base/drop.ts';
import { memoryOver } from '../../src/base/memory.ts';
import type { PcapFile, PcapLink } from '../../src/node/pcap-file.ts';
import { readCapture } from '../../src/pcap/reader.ts';
import { outputOf } from './tools.ts';

const START_MS = 1_600_000_000_000;

/** Frames are pieces of this; where they begin tells them apart. */
const BYTES = Uint8Array.from({ length: 1 << 19 }, (_, i) => (Math.imul(i, 2654435761) >>> 13) & 255);
const memory = memoryOver(BYTES);

export interface Told {
  readonly link: string;
  readonly direction: 'from-guest' | 'to-guest';
  readonly bytes: Uint8Array;
  readonly wallMs: number;
  comments: string[];
}

/** Frames of links that were recorded, oldest first. */
export class Story {
  readonly told: Told[] = [];
  private readonly file: PcapFile;
  private readonly links = new Map<string, PcapLink>();
  private wallMs = START_MS;

  constructor(file: PcapFile) {
    this.file = file;
  }

  /** A guest of `link` sends `len` bytes. `answers` happen before the verdict. */
  fromGuest(link: string, len: number, drop: Drop = Drop.None, answers: () => void = () => {}): void {
    const frame = this.record(link, 'from-guest', len);
    answers();
    if (drop !== Drop.None) frame.comments.push(`dropped: ${dropNames[drop]}`);
    this.link(link).verdict(drop);
  }

  toGuest(link: string, len: number): void {
    this.record(link, 'to-guest', len);
  }

  /** A frame whose verdict never comes. */
  record(link: string, direction: 'from-guest' | 'to-guest', len: number, comment = ''): Told {
    const off = (this.told.length * 97) % (BYTES.length - len);
    this.wallMs += 0.125;
    const bytes = BYTES.subarray(off, off + len);
    const frame = { link, direction, bytes, wallMs: this.wallMs, comments: comment === '' ? [] : [comment] };
    this.told.push(frame);
    this.link(link).record(direction, memory, off, len, this.wallMs, comment);
    return frame;
  }

  private link(name: string): PcapLink {
    const known = this.links.get(name) ?? this.file.recorderOf({ name });
    if (known === null) throw new Error(`${name} is not recorded`);
    this.links.set(name, known);
    return known;
  }
}

/** A frame as text, short enough to be compared by the thousand. */
export interface Shown {
  readonly frame: string;
  readonly comments: string;
}

/** What a capture of `told` holds. */
export function shown(told: readonly Told[], snapLen = 262_144, hasLinks = true): Shown[] {
  return told.map(({ link, bytes, wallMs, comments }) => ({
    frame: `${hasLinks ? link : null} ${Math.round(wallMs * 1000)} ${bytes.length} ${digest(bytes.subarray(0, snapLen))}`,
    comments: hasLinks ? comments.join('|') : '',
  }));
}

/** The capture at `path`, read to its end by our reader. */
export function readShown(path: string): Shown[] {
  const { frames, damage } = readCapture(readFileSync(path));
  if (damage !== null) throw new Error(`${path}: ${damage.reason} at ${damage.offset}`);
  return frames.map(({ seconds, nanoseconds, bytes, wireLen, source, comments }) => ({
    frame: `${source.name} ${seconds * 1e6 + nanoseconds / 1000} ${wireLen} ${digest(bytes)}`,
    comments: comments.join('|'),
  }));
}

/** How many they are, and what. */
function digest(bytes: Uint8Array): string {
  return `${bytes.length}:${createHash('sha256').update(bytes).digest('base64')}`;
}

/** Fields of each packet, as tshark calls them. */
export function tsharkFields(path: string, fields: readonly string[]): string[][] {
  const args = ['-r', path, '-n', '-T', 'fields', ...fields.flatMap((field) => ['-e', field])];
  const rows = outputOf('tshark', args).split('\n').slice(0, -1);
  return rows.map((row) => row.split('\t'));
}

/** A folder of a test's own. */
export function tempFolder(name: string): { path(file: string): string; remove(): void } {
  const folder = mkdtempSync(join(tmpdir(), `usernet-${name}-`));
  return { path: (file) => join(folder, file), remove: () => rmSync(folder, { recursive: true }) };
}
