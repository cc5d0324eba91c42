// The captures at hand: our own, and those that lie beside the repository on some machines.

import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import type { KeptFrame } from '../../src/pcap/frames.ts';
import { readCapture } from '../../src/pcap/reader.ts';

/** Seen from the root of the repository, where tests run. */
export const OWN = 'pcaps';
export const SHARED = '../shared/pcaps';

export const hasShared = existsSync(SHARED);
if (!hasShared) process.stderr.write(`\nSKIPPED: what needs the captures of ${SHARED}: it is not there\n`);

/** Every file below `folder` but for descriptions, in order; none where there is no such folder. */
export function filesUnder(folder: string): string[] {
  if (!existsSync(folder)) return [];
  const found = readdirSync(folder, { recursive: true, withFileTypes: true });
  const paths = found.filter((file) => file.isFile()).map((file) => join(file.parentPath, file.name));
  return paths.filter((path) => !path.endsWith('.md')).sort();
}

/** Those of them whose name is a capture's. */
export function capturesUnder(folder: string): string[] {
  return filesUnder(folder).filter((path) => /\.pcap(ng)?$/.test(path));
}

/** The same, seen from `folder`. */
export function capturesIn(folder: string): string[] {
  return capturesUnder(folder).map((path) => relative(folder, path));
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
