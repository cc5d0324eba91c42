// The SACK option that we send: which of the ranges in `gaps` a segment says. RFC 2018 3, 4.

import * as tcp from '../wire/tcp.ts';
import * as options from '../wire/tcp-options.ts';
import type { Tcb } from './tcb.ts';

const TIMESTAMPS_LEN = 12;
/** Room for three blocks beside timestamps, four without. RFC 2018 3. */
const MAX_OPTIONS = tcp.MAX_HEADER_LEN - tcp.MIN_HEADER_LEN;
/** Bytes of text that a segment keeps beside SACK blocks. */
const MIN_TEXT = 8;

/** Bytes that the option of the next segment takes, padding included; 0: there is none. */
export function sackLen(tcb: Tcb): number {
  const blocks = sackBlocks(tcb);
  return blocks === 0 ? 0 : 4 + 8 * blocks;
}

/** Writes the option of sackLen() bytes at `at`. */
export function writeSack(tcb: Tcb, at: number): void {
  const blocks = sackBlocks(tcb);
  if (blocks === 0) return;
  const v = tcb.env.arena.memory.view;
  let end = options.writeSackHead(v, at, blocks);
  // RFC 2018 4: the range of the segment that caused this ACK comes first, the others behind it.
  const first = tcb.gaps.recentIndex;
  for (let n = 0; n < blocks; n++) {
    const i = n === 0 ? first : n <= first ? n - 1 : n;
    v.setInt32(end, tcb.gaps.left(i));
    v.setInt32(end + 4, tcb.gaps.right(i));
    end += 8;
  }
}

/** As many as fit beside timestamps, and beside some text where the MSS is very small. */
function sackBlocks(tcb: Tcb): number {
  if (!tcb.sackPermitted || tcb.gaps.count === 0) return 0;
  const room = Math.min(MAX_OPTIONS - (tcb.timestamps ? TIMESTAMPS_LEN : 0), tcb.sendMss - MIN_TEXT) - 4;
  return Math.max(0, Math.min(tcb.gaps.count, room >> 3));
}
