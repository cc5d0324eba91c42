// The frames that mutants are made of: those of test/support/frames.ts, of the repository's captures, and of the shared
// ones where they are. Always in the same order.

import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { LINK_TYPE_ETHERNET } from '../../src/pcap/format.ts';
import { readCapture } from '../../src/pcap/reader.ts';
import { filesUnder, OWN, SHARED } from '../support/captures.ts';
import { FRAMES } from '../support/frames.ts';

/** Of one capture at most so many frames, spread over it: bulk transfers are all alike. */
const MOST_PER_CAPTURE = 60;
const MAX_FRAME = 9000;

export interface Seeds {
  /** Each of our own as often as makes half of them our own: in most of the shared ones is nothing that we speak. */
  readonly frames: readonly Uint8Array[];
  /** Captures that they come from. */
  readonly captures: number;
}

/** `root`: of the repository; `shared`: also the captures beside it. */
export function collectSeeds(root: string, shared: boolean): Seeds {
  const own: Uint8Array[] = Object.values(FRAMES);
  const others: Uint8Array[] = [];
  const captures = [...framesUnder(resolve(root, OWN), own)];
  if (shared) captures.push(...framesUnder(resolve(root, SHARED), others));
  const times = Math.max(1, Math.round(others.length / own.length));
  return {
    frames: [...Array.from({ length: times }, () => own).flat(), ...others],
    captures: captures.length,
  };
}

/** The captures there; their frames are put behind `frames`. */
function framesUnder(folder: string, frames: Uint8Array[]): string[] {
  const captures = filesUnder(folder).filter((file) => /\.(pcap|pcapng|pkt)$/.test(file));
  for (const file of captures) {
    const usable = readCapture(readFileSync(file)).frames.filter(
      (frame) => frame.source.linkType === LINK_TYPE_ETHERNET && frame.bytes.length <= MAX_FRAME,
    );
    const step = Math.max(1, usable.length / MOST_PER_CAPTURE);
    for (let i = 0; i < usable.length; i += step) frames.push(usable[Math.floor(i)]!.bytes);
  }
  return captures;
}
