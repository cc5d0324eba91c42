// The captures at hand: our own, and those that lie beside the repository on some machines.

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { KeptFrame } from '../../src/pcap/frames.ts';
import { readCapture } from '../../src/pcap/reader.ts';

const ROOT = join(import.meta.dirname, '../..');
export const OWN = join(ROOT, 'pcaps');
export const SHARED = join(ROOT, '../shared/pcaps');

export const hasShared = existsSync(SHARED);
if (!hasShared)
  process.stderr.write(`\nSKIPPED where they are needed: there are no captures at ../shared/pcaps\n`);

/** Capture files below `folder`, relative to it, in order. */
export function capturesIn(folder: string): string[] {
  if (!existsSync(folder)) return [];
  const all = readdirSync(folder, { recursive: true, encoding: 'utf8' });
  return all.filter((name) => /\.pcap(ng)?$/.test(name)).sort();
}

export function framesOf(path: string): KeptFrame[] {
  return readCapture(readFileSync(path)).frames;
}

const SOURCE = { index: 0, linkType: 1, snapLen: 0, name: null };

/** `frames` as a capture, a millisecond between one and the next. */
export function capture(...frames: Uint8Array[]): KeptFrame[] {
  return frames.map((frame, i) => ({
    ...{ number: i + 1, seconds: 1_700_000_000, nanoseconds: i * 1_000_000 },
    ...{ bytes: frame, wireLen: frame.length, source: SOURCE, comments: [] },
  }));
}
