// Loss recovery: what is believed lost, how it is sent again, and when that was a mistake.
//
// The log (sent-log.ts) knows what is out. Each ACK takes records off it or marks them Sacked; then whoever looks for
// losses marks records Lost: rack.ts where the peer says SACK, duplicate ACKs where it does not (RFC 6582), or the
// retransmission timer. What is Lost is sent again by output(), the lowest first, before anything new, as far as the
// congestion window is wider than `pipe`, the bytes believed to be in the network. So there is one rule for sending, and
// limited transmit (RFC 3042) falls out of it: what has arrived has left the pipe.
//
//   open      nothing is known to be lost
//   recovery  something was lost, and ACKs still come. Until sndUna reaches `recover` the window goes down to ssthresh in
//             proportion to what arrives (PRR, RFC 9937)
//   loss      the retransmission timer has fired: all that has not arrived is Lost, and slow start begins with one
//             segment
//
// Without SACK each duplicate ACK says that some segment has left the network; `dupAcks` stands for the marks.
//
// A recovery that was none is undone: when the first ACK of what was sent again echoes a time before that (Eifel, RFC
// 3522, 4015), or when D-SACK (RFC 2883) reports each retransmission as a duplicate.

import { type Ms, NEVER } from '../base/clock.ts';
import type { AckSample } from './congestion.ts';
import { Sent, SentLog } from './sent-log.ts';
import { seqDiff, seqLt, seqMax, seqMin } from './seq.ts';
import type { Tcb } from './tcb.ts';

/** RFC 5681 3.2: the third duplicate says that a segment is lost. */
const DUPLICATES = 3;

/** The recovery of one connection: state only, the functions of this file, rack.ts and tail-probe.ts work on it. */
export class Recovery {
  readonly log = new SentLog();
  phase: 'open' | 'recovery' | 'loss' = 'open';
  /**
   * Without SACK: duplicate ACKs, each of which stands for a segment that has arrived, and the most that are believed: as
   * many as were out at the first since sndUna moved, and half as many that were sent meanwhile. -1: before that first one.
   */
  dupAcks = 0;
  dupLimit = -1;
  /** Without SACK: partial ACKs of this recovery, one behind the other, of nothing but what was sent again. */
  barePartials = 0;
  /** RFC 9937 6.1: what has arrived and what was sent since the recovery began, and what was out then. */
  prrDelivered = 0;
  prrOut = 0;
  recoverFlight = 0;
  /** The last recovery may still turn out to have been none, until sndUna passes `undoUntil`. It began with it at `undoFrom`. */
  mayUndo = false;
  undoFrom = 0;
  undoUntil = 0;
  /** What it has sent again lies between these; a D-SACK of anything else is not about it. */
  resentFrom = 0;
  resentTo = 0;
  /** Bytes of its retransmissions that no D-SACK has reported, and the clock's low bits at the first of them. */
  undoBytes = 0;
  firstResentAt = 0;

  // RACK, RFC 8985 5.3: of what arrived, the segment that was sent last.
  rackOrder = 0;
  /** Its round trip; -1 before there is one. */
  rackRtt: Ms = -1;
  /** The highest that arrived. */
  fack = 0;
  /** Smallest round trip of the last minutes, -1 before there is one, and when it was taken. */
  minRtt: Ms = -1;
  minRttAt: Ms = 0;
  /** Segments of this connection have arrived out of order. */
  reordered = false;
  /** RFC 8985 6.2 step 4: the reordering window in quarters of minRtt, and recoveries until it is one again. */
  reoWndMult = 1;
  reoWndPersist = 0;
  dsackRound = false;
  dsackRoundEnd = 0;

  // Tail loss probe, RFC 8985 7.
  probeOut = false;
  probeEnd = 0;
  /** Bytes that were out as it went. */
  probeFlight = 0;
  probeWasResent = false;
}

/** What one ACK has said. One object, refilled. */
export class AckWork implements AckSample {
  now: Ms = 0;
  delivered = 0;
  flight = 0;
  rtt: Ms = -1;
  srtt = 0;
  /** It moved sndUna. */
  advanced = false;
  /** sndUna before. */
  priorUna = 0;
  /** Some of what it is the first to report was sent more than once. */
  resent = false;
  /** It reports a duplicate. RFC 2883. */
  dsack = false;
  /** The highest number that it says has arrived. */
  highest = 0;
  /** The echoed timestamp, where there is one. */
  hasTsEcr = false;
  tsEcr = 0;
}

/** A segment that sends again what the log has: output.ts. */
interface Resending {
  readonly record: number;
  readonly records: number;
  readonly len: number;
}

/** Bytes believed to be in the network. RFC 6675 4, SetPipe(). */
export function pipe(tcb: Tcb): number {
  const { log, dupAcks } = tcb.recovery;
  const out = seqDiff(tcb.sndNxt, tcb.sndUna) - log.sackedBytes - log.lostBytes;
  return tcb.sackPermitted ? out : Math.max(0, out - dupAcks * tcb.sendMss);
}

/** Without SACK: one more duplicate ACK. Some segment behind the first has arrived. */
export function noteDuplicate(tcb: Tcb, work: AckWork): void {
  const { recovery } = tcb;
  const { count } = recovery.log;
  // RFC 5681 3.2 step 4. What duplicates have let out is more that may have arrived, and so on: a peer that repeats itself
  // would get all that we have.
  if (recovery.dupLimit < 0) recovery.dupLimit = Math.max(DUPLICATES, count + (count >> 1) - 1);
  if (recovery.dupAcks >= recovery.dupLimit) return;
  recovery.dupAcks++;
  work.delivered += tcb.sendMss;
}

/** Without SACK: sndUna has taken `segments` off the log. All but one of them may have been counted by duplicates. */
export function forgetDuplicates(tcb: Tcb, segments: number): void {
  const { recovery } = tcb;
  recovery.dupAcks = Math.max(0, recovery.dupAcks - Math.max(0, segments - 1));
  if (recovery.phase === 'open') recovery.dupAcks = 0;
  recovery.dupLimit = -1;
}

/** `ack` is about to move sndUna. */
export function notePartial({ recovery, sackPermitted, resentEnd, recover }: Tcb, ack: number): void {
  const isBare =
    !sackPermitted && recovery.phase === 'recovery' && !seqLt(resentEnd, ack) && seqLt(ack, recover);
  recovery.barePartials = isBare ? recovery.barePartials + 1 : 0;
}

/**
 * Does the retransmission timer go on as it was set? RFC 6582 3.2 step 3: with the second partial ACK. Here with the second
 * that shows nothing to have arrived behind the hole, of a peer that keeps nothing of that, or after a burst of losses: a
 * segment each round trip, or each of the peer's delayed ACKs, takes longer than a timeout and slow start.
 */
export function keepsTimer({ recovery }: Tcb): boolean {
  return recovery.barePartials > 1;
}

/** Without SACK: what duplicates and partial ACKs tell. RFC 6582 3.2, steps 2 to 4. True: something is newly lost. */
export function detectByDuplicates(tcb: Tcb, work: AckWork): boolean {
  const { recovery } = tcb;
  const { log, phase } = recovery;
  if (log.count === 0 || log.is(0, Sent.Lost)) return false;
  const third = phase === 'open' && recovery.dupAcks >= DUPLICATES;
  // RFC 6582 3.2 step 2: not for what was out before the last recovery ended.
  if (third ? !seqLt(tcb.recover, tcb.sndUna) : phase !== 'recovery' || !work.advanced) return false;
  log.markLost(0);
  // A second loss: of what lies behind it nothing is known, and by one small segment a round trip many would take long.
  for (let i = 1; !third && i < log.count && seqDiff(log.end(i), log.start) <= tcb.sendMss; i++)
    if (!log.is(i, Sent.Lost)) log.markLost(i);
  return true;
}

/** Something is lost. Begins a recovery unless one is under way, with an ACK of `delivered` bytes or without one. */
export function lossFound(tcb: Tcb, delivered: number, now: Ms): void {
  const { recovery, congestion } = tcb;
  if (recovery.phase !== 'open') return;
  const flight = seqDiff(tcb.sndNxt, tcb.sndUna);
  recovery.phase = 'recovery';
  recovery.prrDelivered = 0;
  recovery.prrOut = 0;
  // RFC 9937 6.1: what arrived before does not count as delivered in the recovery, what this ACK says does.
  recovery.recoverFlight = flight - recovery.log.sackedBytes + delivered;
  recovery.probeOut = false;
  recovery.barePartials = 0;
  tcb.recover = tcb.sndMax;
  tcb.tlpAt = NEVER;
  watchForMistake(tcb);
  // RFC 5681 3.2: what limited transmit has sent meanwhile does not count.
  congestion.onLoss(Math.min(flight, congestion.cwnd), now);
  tcb.env.counters.fastRetransmits++;
}

function watchForMistake(tcb: Tcb): void {
  const { recovery } = tcb;
  recovery.mayUndo = true;
  recovery.undoFrom = tcb.sndUna;
  recovery.undoUntil = tcb.sndMax;
  recovery.undoBytes = 0;
}

/** sndUna has moved: what could tell that the last recovery was none has come, or will not. */
export function maybeForgetUndo({ recovery, sndUna }: Tcb): void {
  if (recovery.phase === 'open' && seqLt(recovery.undoUntil, sndUna)) recovery.mayUndo = false;
}

/** The ACK is taken and what it lost is marked: moves the congestion window. */
export function adjustWindow(tcb: Tcb, work: AckWork, lost: boolean): void {
  const { recovery, congestion } = tcb;
  const { phase } = recovery;
  if (phase === 'recovery') {
    reduceInProportion(tcb, work.delivered, work.advanced, lost);
    return;
  }
  // What is reported behind a hole waits for the recovery that it may begin. Where segments overtake each other it mostly
  // begins none, and most of what arrives is reported so, once: not by the ACK that moves sndUna as well.
  const isNews = work.advanced || (work.delivered > 0 && phase === 'open' && recovery.reordered);
  if (!isNews) return;
  // RFC 3465 2.3: after a timeout a cumulative ACK may stand for what had arrived before, and must not open the window
  // for all of it. By SACK that is known, but for ACKs that were lost: there ssthresh is the bound.
  if (phase === 'loss' && !tcb.sackPermitted) work.delivered = Math.min(work.delivered, tcb.sendMss);
  congestion.onAck(work);
}

/** Proportional rate reduction, RFC 9937 6.2; `lost`: something more is. */
export function reduceInProportion(tcb: Tcb, delivered: number, advanced: boolean, lost: boolean): void {
  const { recovery, congestion, sendMss } = tcb;
  const { ssthresh } = congestion;
  const out = pipe(tcb);
  recovery.prrDelivered += delivered;
  let more: number;
  if (out > ssthresh) {
    const share = Math.ceil((recovery.prrDelivered * ssthresh) / Math.max(1, recovery.recoverFlight));
    more = share - recovery.prrOut;
  } else {
    // What was sent again and lost again is in prrOut: at least what this ACK delivers, or nothing might go until the timer.
    const conserving = Math.max(recovery.prrDelivered - recovery.prrOut, delivered);
    // The slow start part of it only while sndUna moves and nothing more is lost.
    more = Math.min(ssthresh - out, advanced && !lost ? conserving + sendMss : conserving);
  }
  // The first retransmission goes out whatever the window says (RFC 6675 5 step 4.3), and so does the one that a partial
  // ACK asks for (RFC 6582 3.2 step 3).
  if (recovery.prrOut === 0 || (lost && !tcb.sackPermitted)) more = Math.max(more, sendMss);
  congestion.cwnd = out + Math.max(0, more);
}

/** Ends a recovery that sndUna has left behind. True: it did. RFC 6582 3.2 step 3, RFC 6675 5. */
export function maybeLeave(tcb: Tcb, now: Ms): boolean {
  const { recovery, congestion, sendMss } = tcb;
  if (recovery.phase === 'open' || seqLt(tcb.sndUna, tcb.recover)) return false;
  if (recovery.phase === 'recovery') {
    congestion.onRecovered(now);
    // RFC 6582 3.2 step 3: no burst, whatever has left the network meanwhile. With SACK the reduction has seen to that.
    if (!tcb.sackPermitted)
      congestion.cwnd = Math.min(congestion.cwnd, Math.max(pipe(tcb), sendMss) + sendMss);
  }
  if (recovery.reoWndPersist > 0 && --recovery.reoWndPersist === 0) recovery.reoWndMult = 1;
  recovery.phase = 'open';
  recovery.dupAcks = 0;
  // D-SACKs of what was sent again come with the ACKs of what is out.
  recovery.undoUntil = tcb.sndNxt;
  return true;
}

/** `what.records` records of the log from `what.record` on were sent again, in one segment of `what.len` bytes of text. */
export function noteResent(tcb: Tcb, what: Resending, now: Ms): void {
  const { recovery } = tcb;
  const { log } = recovery;
  const { record, records } = what;
  log.resend(record, records, now);
  if (!recovery.mayUndo || recovery.phase === 'open') return;
  const from = log.seq(record);
  const to = log.end(record + records - 1);
  const first = recovery.undoBytes === 0;
  if (first) recovery.firstResentAt = now | 0;
  recovery.resentFrom = first ? from : seqMin(recovery.resentFrom, from);
  recovery.resentTo = first ? to : seqMax(recovery.resentTo, to);
  // Of a FIN with text a peer may report only that.
  recovery.undoBytes += Math.max(1, what.len);
}

/** The retransmission timer: RFC 6298 5.4 to 5.7, RFC 5681 3.1. */
export function timedOut(tcb: Tcb, now: Ms): void {
  const { recovery, congestion } = tcb;
  const { log } = recovery;
  const again = tcb.retries > 1;
  congestion.onTimeout(atTimeout(tcb), again, now);
  if (!again) watchForMistake(tcb);
  recovery.phase = 'loss';
  recovery.dupAcks = 0;
  recovery.probeOut = false;
  // RFC 6582 3.2 step 4: duplicate ACKs of what was out do not begin another recovery.
  tcb.recover = tcb.sndMax;
  if (log.count > 0 && seqDiff(log.end(0), tcb.sndUna) > tcb.sndWnd) {
    // The peer has taken its window back. What lies beyond is sent as new when it opens; until then it is probed.
    tcb.sndNxt = tcb.sndUna;
    log.clear(tcb.sndUna);
    return;
  }
  // RFC 2018 8: a peer may drop what it has SACKed. It has, when that begins at sndUna; and once a timeout has not
  // helped, nothing is believed.
  log.markAllLost(again || (log.count > 0 && log.is(0, Sent.Sacked)));
}

/**
 * Bytes that are outstanding as the timer fires, RFC 5681 3.1 (4). Without SACK all that was out in a recovery or after a
 * timeout still is, by the numbers, however little was sent since: ssthresh would come down to a share of that each time
 * and no further. Then it is the window that was lost in.
 */
function atTimeout({ recovery, congestion, sackPermitted, sndMax, sndUna }: Tcb): number {
  const flight = seqDiff(sndMax, sndUna);
  if (sackPermitted || recovery.phase === 'open') return flight;
  return Math.min(flight, recovery.phase === 'recovery' ? congestion.ssthresh : congestion.cwnd);
}

/** Eifel: the first ACK of what was sent again echoes a time before that. RFC 3522 3.2. True: undone. */
export function undoByTimestamp(tcb: Tcb, work: AckWork): boolean {
  const { recovery } = tcb;
  if (!recovery.mayUndo || recovery.phase === 'open' || recovery.undoBytes === 0) return false;
  if (!work.hasTsEcr || work.priorUna !== recovery.undoFrom) return false;
  if (!seqLt(work.tsEcr, (recovery.firstResentAt + tcb.tsOffset) | 0)) return false;
  undo(tcb, work.now);
  return true;
}

/**
 * A D-SACK for [left, right). RFC 3708 3: of what was sent again, and not of what the network has sent twice. Bytes are
 * counted: of segments that were sent again as one the peer may have had a part, and says so (RFC 2883 4).
 */
export function undoByDsack(tcb: Tcb, left: number, right: number, now: Ms): void {
  const { recovery } = tcb;
  if (!recovery.mayUndo || recovery.undoBytes === 0) return;
  if (seqLt(left, recovery.resentFrom) || seqLt(recovery.resentTo, right)) return;
  recovery.undoBytes = Math.max(0, recovery.undoBytes - seqDiff(right, left));
  if (recovery.undoBytes === 0) undo(tcb, now);
}

function undo(tcb: Tcb, now: Ms): void {
  const { recovery } = tcb;
  tcb.congestion.undo(now);
  recovery.log.unmarkLost();
  // A fast recovery by mistake means that segments overtake each other.
  if (recovery.phase === 'recovery') recovery.reordered = true;
  recovery.phase = 'open';
  recovery.dupAcks = 0;
  recovery.mayUndo = false;
  tcb.retries = 0;
  tcb.env.counters.undone++;
}
