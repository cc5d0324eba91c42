// The acknowledgment field: RFC 9293 3.10.7.4 fifth, with RFC 5961 5, and what SACK says beside it (RFC 2018, 2883). What
// follows from it for what was lost is recovery.ts.

import { type Ms, NEVER } from '../base/clock.ts';
import { Flag } from '../wire/tcp.ts';
import { challenge } from './input.ts';
import { detectByTime, endDsackRound, noteDelivered, widenReordering } from './rack.ts';
import {
  AckWork,
  adjustWindow,
  detectByDuplicates,
  forgetDuplicates,
  keepsTimer,
  lossFound,
  maybeForgetUndo,
  maybeLeave,
  noteDuplicate,
  notePartial,
  pipe,
  undoByDsack,
  undoByTimestamp,
} from './recovery.ts';
import type { Segment } from './segment.ts';
import { Sent } from './sent-log.ts';
import { seqDiff, seqLeq, seqLt, seqMax } from './seq.ts';
import { probeAcked } from './tail-probe.ts';
import { setState, type Tcb } from './tcb.ts';
import { armTimer, noteUse } from './timers.ts';
import { endedNormally } from './user.ts';

const work = new AckWork();

/** False: the segment is to be dropped. */
export function processAck(tcb: Tcb, segment: Segment, now: Ms): boolean {
  if (!segment.has(Flag.Ack)) return false;
  const { ack } = segment;
  // RFC 5961 5.2: not newer than what we sent, not older than the largest window ever.
  if (seqLt(tcb.sndMax, ack) || seqDiff(tcb.sndUna, ack) > tcb.maxSndWnd) {
    challenge(tcb, now);
    return false;
  }
  begin(tcb, segment, now);
  const duplicate = isDuplicate(tcb, segment);
  if (seqLt(tcb.sndUna, ack)) takeNewAck(tcb, segment, now);
  else if (duplicate && !tcb.sackPermitted) noteDuplicate(tcb, work);
  if (tcb.state === 'CLOSED') return true;
  if (tcb.sackPermitted && segment.options.sackBlocks > 0) takeSack(tcb, segment);
  if (work.advanced || work.delivered > 0 || work.dsack) afterAck(tcb, segment);
  else probeAcked(tcb, segment, work);
  takeWindow(tcb, segment);
  return true;
}

function begin(tcb: Tcb, segment: Segment, now: Ms): void {
  const { options } = segment;
  work.now = now;
  work.delivered = 0;
  // What is only held back counts as sent: it is the window that limits.
  work.flight = tcb.pacer?.isHolding ? Math.max(pipe(tcb), tcb.congestion.cwnd) : pipe(tcb);
  work.rtt = -1;
  work.srtt = tcb.rtt.srtt;
  work.advanced = false;
  work.priorUna = tcb.sndUna;
  work.resent = false;
  work.dsack = false;
  work.hasTsEcr = tcb.timestamps && options.hasTimestamps;
  work.tsEcr = options.tsEcr;
  work.highest = segment.ack;
}

/** RFC 5681 2: no data, no window change, nothing newer acknowledged, and something is out. */
function isDuplicate(tcb: Tcb, segment: Segment): boolean {
  return (
    segment.ack === tcb.sndUna &&
    segment.len === 0 &&
    tcb.sndNxt !== tcb.sndUna &&
    segment.wnd << tcb.sndWindShift === tcb.sndWnd
  );
}

function takeNewAck(tcb: Tcb, segment: Segment, now: Ms): void {
  const { ack } = segment;
  const acked = seqDiff(ack, tcb.sndUna);
  const data = Math.min(acked, tcb.sendRing.length);
  const { log } = tcb.recovery;
  const sentAt = log.count > 0 ? log.sentAt(0) : tcb.lastSentAt;
  work.advanced = true;
  forgetRecords(tcb, ack);
  measure(tcb, segment, sentAt, now);
  notePartial(tcb, ack);
  tcb.sndUna = ack;
  tcb.sndNxt = seqMax(tcb.sndNxt, ack);
  tcb.resentEnd = seqMax(tcb.resentEnd, ack);
  endDsackRound(tcb);
  if (data > 0) {
    tcb.sendRing.consume(data);
    noteUse(tcb, now);
  }
  tcb.retries = 0;
  // RFC 9293 3.8.6.2.1: what waits for a wider window waits for one RTO from here.
  tcb.probes = 0;
  tcb.persistAt = NEVER;
  tcb.probe = false;
  tcb.tlpDue = false;
  tcb.tlpUnset = true;
  // Kept close: left behind by 2^31 bytes it would seem to lie ahead.
  tcb.recover = seqMax(tcb.recover, (ack - 1) | 0);
  // RFC 6298 5.2, 5.3: off when everything is acknowledged, else from the start.
  if (tcb.sndNxt === ack) tcb.rtoAt = NEVER;
  else if (!keepsTimer(tcb)) tcb.rtoAt = now + tcb.rtt.rto;
  if (acked > data) finAcknowledged(tcb, now);
  if (tcb.state === 'CLOSED') return;
  if (data > 0) tcb.user.onSendSpace();
  tcb.user.wantOutput();
}

/** Takes what `ack` acknowledges off the log. */
function forgetRecords(tcb: Tcb, ack: number): void {
  const { log } = tcb.recovery;
  let segments = forgetInOrder(tcb, ack);
  for (let last = 0; log.count > 0 && log.endsBy(0, ack); log.shift()) {
    if (!log.is(0, Sent.Sacked)) {
      work.delivered += log.len(0);
      noteDelivered(tcb, 0, work);
    }
    const order = log.order(0);
    if (segments === 0 || order !== last) segments++;
    last = order;
  }
  if (log.count === 0) log.clear(ack);
  else if (log.start !== ack) {
    if (!log.is(0, Sent.Sacked)) work.delivered += seqDiff(ack, log.start);
    log.trim(ack);
  }
  if (tcb.sackPermitted) return;
  const counted = tcb.recovery.dupAcks;
  forgetDuplicates(tcb, segments);
  work.delivered = Math.max(0, work.delivered - (counted - tcb.recovery.dupAcks) * tcb.sendMss);
}

/**
 * Where nothing that is out was sent twice, has been reported or is lost, all that `ack` acknowledges is taken off at once:
 * of records in the order of their sending the last one says what RACK wants to know of them. How many.
 */
function forgetInOrder(tcb: Tcb, ack: number): number {
  const { log } = tcb.recovery;
  if (log.sackedCount > 0 || log.lostBytes > 0 || seqLt(tcb.sndUna, tcb.resentEnd)) return 0;
  const records = log.count === 0 ? 0 : log.countTo(ack);
  // Behind what had been reported and then was not believed, each may be one that was overtaken.
  if (records === 0 || seqLt(log.end(0), tcb.recovery.fack)) return 0;
  work.delivered += seqDiff(log.end(records - 1), log.start);
  noteDelivered(tcb, records - 1, work);
  log.shiftInOrder(records);
  return records;
}

/** The blocks of a SACK option. RFC 2018 5, RFC 2883 4: a first block of what had arrived before tells of a duplicate. */
function takeSack(tcb: Tcb, segment: Segment): void {
  const { sack, sackBlocks } = segment.options;
  for (let n = 0; n < sackBlocks; n++) {
    const left = sack[2 * n]!;
    const right = sack[2 * n + 1]!;
    if (n === 0 && isDsack(segment, left, right)) {
      // Not for what was never sent.
      if (seqLeq(right, tcb.sndMax)) takeDsack(tcb, left, right);
    } else if (isBlock(tcb, left, right)) takeBlock(tcb, left, right);
  }
}

function isDsack(segment: Segment, left: number, right: number): boolean {
  if (!seqLt(left, right)) return false;
  if (seqLeq(right, segment.ack)) return true;
  const { sack, sackBlocks } = segment.options;
  return sackBlocks > 1 && seqLeq(sack[2]!, left) && seqLeq(right, sack[3]!);
}

function takeDsack(tcb: Tcb, left: number, right: number): void {
  work.dsack = true;
  widenReordering(tcb);
  undoByDsack(tcb, left, right, work.now);
}

/** Is [left, right) a block of what is out? RFC 2018 3, and nothing that was never sent. */
function isBlock(tcb: Tcb, left: number, right: number): boolean {
  return seqLt(left, right) && seqLeq(right, tcb.sndNxt) && seqLt(tcb.sndUna, right);
}

function takeBlock(tcb: Tcb, left: number, right: number): void {
  const { log } = tcb.recovery;
  for (let i = log.from(left); ; i++) {
    i = log.firstUnsacked(i);
    if (i >= log.count || !log.endsBy(i, right)) return;
    log.markSacked(i);
    work.delivered += log.len(i);
    noteDelivered(tcb, i, work);
    work.highest = seqMax(work.highest, log.end(i));
  }
}

/** What the ACK means for what is lost, and for the congestion window. */
function afterAck(tcb: Tcb, segment: Segment): void {
  const { recovery } = tcb;
  const { now } = work;
  // An answer has come: there is nothing to probe for, or not yet.
  tcb.tlpDue = false;
  tcb.tlpUnset = true;
  if (work.advanced) {
    undoByTimestamp(tcb, work);
    maybeForgetUndo(tcb);
  }
  // Not before: what one ACK reports together may have arrived in any order.
  if (seqLt(recovery.fack, work.highest)) recovery.fack = work.highest;
  probeAcked(tcb, segment, work);
  const left = maybeLeave(tcb, now);
  const lost = tcb.sackPermitted ? detectByTime(tcb, now) : detectByDuplicates(tcb, work);
  if (recovery.log.lostBytes > 0) lossFound(tcb, work.delivered, now);
  // The ACK that ends a recovery has set the window: it does not widen it as well.
  if (!left || recovery.phase === 'recovery') adjustWindow(tcb, work, lost);
  tcb.user.wantOutput();
}

/**
 * RFC 6298 by timestamps (RFC 7323 4) or by the log, where nothing acknowledged was sent twice (Karn). Without a sample the
 * timeout stays as long as it was backed off: else a round trip longer than the RTO would never be measured. `sentAt`: when
 * the oldest that is acknowledged was sent, the low bits of the clock.
 */
function measure(tcb: Tcb, segment: Segment, sentAt: number, now: Ms): void {
  if (tcb.timestamps && segment.options.hasTimestamps) {
    const { tsEcr } = segment.options;
    // Of bytes sent twice the echo may be the first sending's: the peer had them, its ACK was lost, and what passed since
    // is our own waiting.
    if (seqLt(tcb.sndUna, tcb.resentEnd) && seqLt(tsEcr, tcb.resentTs)) return;
    const rtt = (now + tcb.tsOffset - tsEcr) | 0;
    // RFC 7323 4.1: the echo is that of something now acknowledged. One from before is not ours, or of a peer that echoes
    // nothing. One from what is to come tells nothing.
    if (rtt >= 0) tcb.rtt.sample(Math.min(rtt, (now - sentAt) | 0));
  } else if (work.rtt >= 0 && !work.resent) tcb.rtt.sample(work.rtt);
}

/**
 * SND.WND from a segment that is not older than the one it came from last. RFC 9293 3.10.7.4 fifth; also from one that
 * was sent again but acknowledges more, or the window would seem to reach as much farther.
 */
function takeWindow(tcb: Tcb, segment: Segment): void {
  if (seqLt(segment.ack, tcb.sndUna)) return;
  const newer = seqLt(tcb.sndWl1, segment.seq) || seqLt(tcb.sndWl2, segment.ack);
  if (!newer && (tcb.sndWl1 !== segment.seq || tcb.sndWl2 !== segment.ack)) return;
  const window = segment.wnd << tcb.sndWindShift;
  tcb.sndWl1 = seqMax(tcb.sndWl1, segment.seq);
  tcb.sndWl2 = segment.ack;
  if (window === tcb.sndWnd) return;
  // RFC 9293 3.8.6.2.1: one that is wider and still narrow does not put off what waits for it, or a peer that takes a little
  // at a time would get nothing.
  if (tcb.sndWnd === 0) {
    tcb.persistAt = NEVER;
    tcb.probes = 0;
    tcb.probe = false;
  }
  tcb.sndWnd = window;
  if (window > tcb.maxSndWnd) tcb.maxSndWnd = window;
  tcb.user.wantOutput();
}

/** Our FIN is acknowledged. RFC 9293 3.10.7.4 fifth, the states behind ESTABLISHED. */
function finAcknowledged(tcb: Tcb, now: Ms): void {
  tcb.finAcked = true;
  setState(tcb, 'rcv-ack-of-fin');
  if (tcb.state === 'TIME-WAIT') {
    enterTimeWait(tcb, now);
  } else if (tcb.state === 'CLOSED') endedNormally(tcb);
}

/** Everything off but the end of TIME-WAIT. RFC 9293 3.6.1; 10 s instead of 2 MSL: the guest is one hop away. */
export function enterTimeWait(tcb: Tcb, now: Ms): void {
  tcb.rtoAt = NEVER;
  tcb.reoAt = NEVER;
  tcb.tlpAt = NEVER;
  tcb.persistAt = NEVER;
  tcb.keepaliveAt = NEVER;
  tcb.timeWaitEndsAt = now + tcb.env.timeWait;
  armTimer(tcb);
}
