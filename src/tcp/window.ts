// The window we advertise: scaling (RFC 7323 2), silly-window avoidance of the receiver (RFC 9293 3.8.6.2.2), a right
// edge that never moves left, and a limit that grows with what is delivered.

import { type Ms, NEVER } from '../base/clock.ts';
import { isDuplicateDue } from './sack-blocks.ts';
import { seqDiff, seqLeq } from './seq.ts';
import { INITIAL_RCV_LIMIT, type Tcb } from './tcb.ts';

const MAX_FIELD = 65535;
/** A user that leaves bytes lying for longer than this has more of them than it wants. */
const KEEPS_UP: Ms = 100;

/** The smallest shift with which a window of `bytes` can be said. 0..14. */
export function shiftFor(bytes: number): number {
  let shift = 0;
  while (shift < 14 && MAX_FIELD * 2 ** shift < bytes) shift++;
  return shift;
}

/** The window field of the next segment; moves rcvAdv when it says more than before. Not for SYNs. */
export function advertise(tcb: Tcb): number {
  const shift = tcb.rcvWindShift;
  const promised = rcvWindow(tcb);
  let field = sayable(tcb, promised);
  const willing = willingWindow(tcb);
  // RFC 9293 3.8.6.2.2 (MUST-39): the edge moves by a worthwhile step or not at all.
  // RFC 5681 2: an ACK with another window is not counted as a duplicate, so those that are due keep theirs.
  if (willing - promised >= worthwhile(tcb) && !isDuplicateDue(tcb))
    field = Math.max(field, willing >>> shift);
  field = Math.min(field, MAX_FIELD);
  const edge = (tcb.rcvNxt + (field << shift)) | 0;
  if (seqDiff(edge, tcb.rcvAdv) > 0) tcb.rcvAdv = edge;
  return field;
}

/**
 * The field for what was promised: rounded up, so that the edge does not move left by the bits that the shift loses.
 * Where the ring could not keep what that adds, rounded down: the peer sees the edge move left by less than one unit of
 * the shift, and what it sends up to the old edge is still taken. RFC 7323 2.4.
 */
function sayable(tcb: Tcb, promised: number): number {
  const shift = tcb.rcvWindShift;
  const field = (promised + (1 << shift) - 1) >>> shift;
  return field << shift <= tcb.recvRing.room ? field : promised >>> shift;
}

/** RFC 9293 3.8.6.2.2: Fr = 1/2. */
function worthwhile(tcb: Tcb): number {
  return Math.min(tcb.sendMss, tcb.rcvLimit / 2);
}

/** The window of our SYN or SYN-ACK, never scaled; sets rcvAdv. RFC 7323 2.2. */
export function advertiseInSyn(tcb: Tcb): number {
  const window = Math.min(tcb.rcvLimit, MAX_FIELD);
  const edge = (tcb.rcvNxt + window) | 0;
  // A SYN-ACK again may come behind an ACK that has said more.
  if (seqDiff(edge, tcb.rcvAdv) > 0) tcb.rcvAdv = edge;
  return window;
}

/** Bytes the peer may still send, as we have told it. */
export function rcvWindow(tcb: Tcb): number {
  return seqDiff(tcb.rcvAdv, tcb.rcvNxt);
}

/**
 * Is the window so much wider than we have said that the peer must hear of it now? RFC 9293 3.8.6.2.2 asks for
 * min(half the buffer, one MSS); once the peer has two segments to go on with, we wait for more.
 */
export function windowUpdateDue(tcb: Tcb): boolean {
  const told = rcvWindow(tcb);
  const opened = (willingWindow(tcb) & -(1 << tcb.rcvWindShift)) - told;
  if (opened <= 0) return false;
  const mss = tcb.sendMss;
  return opened >= tcb.rcvLimit / 2 || (told < 2 * mss && opened >= Math.min(2 * mss, tcb.rcvLimit / 2));
}

/** Bytes up to `end` are there for the user now. One of them at a time is timed until it is taken. */
export function noteArrived(tcb: Tcb, end: number, now: Ms): void {
  if (tcb.readMarkAt !== NEVER) return;
  tcb.readMark = end;
  tcb.readMarkAt = now;
}

/**
 * The user has taken `len` bytes off recvRing. Where it keeps up it may have as many more on their way: in slow start each
 * byte that arrives lets the peer send one byte more than before, so the window is never what holds it back. Where bytes
 * wait for the user a wider window would only make more of them wait.
 */
export function noteDelivered(tcb: Tcb, len: number, now: Ms): void {
  if (tcb.readMarkAt !== NEVER) {
    const late = now - tcb.readMarkAt > KEEPS_UP;
    const taken = seqLeq(tcb.readMark, (tcb.rcvNxt - tcb.recvRing.length) | 0);
    // As long as they may still be taken in time, what was found last holds.
    if (late || taken) tcb.readerKeepsUp = !late;
    if (taken) tcb.readMarkAt = NEVER;
  }
  if (tcb.readerKeepsUp) tcb.rcvLimit = Math.min(tcb.rcvLimit + len, tcb.recvRing.limit);
}

/** The limit at the start of a connection. */
export function initialRcvLimit(tcb: Tcb): number {
  return Math.min(INITIAL_RCV_LIMIT, tcb.recvRing.limit);
}

function willingWindow(tcb: Tcb): number {
  return Math.min(Math.max(0, tcb.rcvLimit - tcb.recvRing.length), MAX_FIELD << tcb.rcvWindShift);
}
