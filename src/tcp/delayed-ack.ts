// An ACK that an answer will carry. RFC 9293 3.8.6.3 (SHLD-18), RFC 5681 4.2.
//
// Mostly an ACK goes at the end of the turn: what came in one turn has one, and nobody waits for it. But where each small
// segment of the peer is answered by one of ours soon after, an ACK by itself is half of the frames that the peer gets, and
// wakes it for nothing. So when that has been so three times in a row, a small segment that comes alone is acknowledged
// by the answer, or after ACK_DELAY. That is the most that a peer can lose which waits for an ACK before it says the rest
// (Nagle's algorithm), and it loses it once: the next three exchanges are acknowledged at once. Never waited for with
// a full segment or a second one, or with anything that is missing.

import { type Ms, NEVER } from '../base/clock.ts';
import type { Tcb } from './tcb.ts';

/** RFC 9293 MUST-40: less than half a second. A host on this machine answers in less than one millisecond. */
const ACK_DELAY: Ms = 5;
/** So many exchanges of one segment each way make a conversation. */
const EXCHANGES = 3;

/**
 * `len` bytes of text came in order. `isPlain`: nothing else in this turn is to be acknowledged, all of the segment was
 * taken, nothing is missing, and it filled no gap.
 */
export function noteTextIn(tcb: Tcb, len: number, isPlain: boolean, now: Ms): void {
  tcb.textsIn++;
  if (!isPlain || tcb.exchanges < EXCHANGES || tcb.textsIn > 1) return;
  if (len >= tcb.sendMss || tcb.state !== 'ESTABLISHED') return;
  tcb.ackPending = false;
  tcb.ackAt = now + ACK_DELAY;
}

/** New text went out. */
export function noteTextOut(tcb: Tcb): void {
  if (tcb.textsIn === 1) tcb.exchanges = Math.min(tcb.exchanges + 1, EXCHANGES);
  else if (tcb.textsIn > 1) tcb.exchanges = 0;
  tcb.textsIn = 0;
}

/** No answer came in time. */
export function delayOver(tcb: Tcb): void {
  tcb.ackAt = NEVER;
  tcb.exchanges = 0;
  // What is said later was no answer in time.
  tcb.textsIn++;
  tcb.ackPending = true;
  tcb.user.wantOutput();
}
