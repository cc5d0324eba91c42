// The acknowledgment field: RFC 9293 3.10.7.4 fifth, with RFC 5961 5, RFC 5681 3.2, RFC 6582 and RFC 6298.

import { type Ms, NEVER } from '../base/clock.ts';
import { Flag } from '../wire/tcp.ts';
import { challenge } from './input.ts';
import type { Segment } from './segment.ts';
import { seqDiff, seqLeq, seqLt, seqMax } from './seq.ts';
import { setState, type Tcb } from './tcb.ts';
import { armTimer } from './timers.ts';
import { endedNormally } from './user.ts';

/** RFC 5681 3.2: the third duplicate says that a segment is lost. */
const DUPLICATES = 3;

/** False: the segment is to be dropped. */
export function processAck(tcb: Tcb, segment: Segment, now: Ms): boolean {
  if (!segment.has(Flag.Ack)) return false;
  const { ack } = segment;
  // RFC 5961 5.2: not newer than what we sent, not older than the largest window ever.
  if (seqLt(tcb.sndMax, ack) || seqDiff(tcb.sndUna, ack) > Math.max(tcb.maxSndWnd, 65535)) {
    challenge(tcb, now);
    return false;
  }
  if (seqLt(tcb.sndUna, ack)) takeNewAck(tcb, segment, now);
  else if (isDuplicate(tcb, segment)) takeDuplicate(tcb, now);
  // It may have been the ACK of our FIN, and the end.
  if (tcb.state !== 'CLOSED') takeWindow(tcb, segment);
  return true;
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
  const flight = tcb.flight;
  const acked = seqDiff(segment.ack, tcb.sndUna);
  const data = Math.min(acked, tcb.sendRing.length);
  measure(tcb, segment, now);
  tcb.sndUna = segment.ack;
  tcb.sndNxt = seqMax(tcb.sndNxt, tcb.sndUna);
  tcb.resentEnd = seqMax(tcb.resentEnd, tcb.sndUna);
  if (data > 0) tcb.sendRing.consume(data);
  tcb.retries = 0;
  // RFC 9293 3.8.6.2.1: what waits for a wider window waits for one RTO from here.
  tcb.probes = 0;
  tcb.persistAt = NEVER;
  tcb.resendOne = false;
  tcb.probe = false;
  if (tcb.inRecovery) recoveryAck(tcb, acked, now);
  else {
    tcb.dupAcks = 0;
    tcb.congestion.onAck({ now, delivered: acked, flight, rtt: -1, srtt: tcb.rtt.srtt });
  }
  // Kept close: left behind by 2^31 bytes it would seem to lie ahead.
  if (!tcb.inRecovery) tcb.recover = seqMax(tcb.recover, (tcb.sndUna - 1) | 0);
  // RFC 6298 5.2, 5.3: off when everything is acknowledged, else from the start.
  tcb.rtoAt = tcb.sndNxt === tcb.sndUna ? NEVER : now + tcb.rtt.rto;
  if (acked > data) finAcknowledged(tcb, now);
  if (tcb.state === 'CLOSED') return;
  if (data > 0) tcb.user.onSendSpace();
  tcb.user.wantOutput();
}

/**
 * RFC 6298 by timestamps (RFC 7323 4) or by the one segment that is timed (Karn). Without a sample the timeout stays as
 * long as it was backed off: else a round trip longer than the RTO would never be measured.
 */
function measure(tcb: Tcb, segment: Segment, now: Ms): void {
  if (tcb.timestamps && segment.options.hasTimestamps) {
    const { tsEcr } = segment.options;
    // Of bytes sent twice the echo may be the first sending's: the peer had them, its ACK was lost, and what passed since
    // is our own waiting.
    if (seqLt(tcb.sndUna, tcb.resentEnd) && seqLt(tsEcr, tcb.resentTs)) return;
    const rtt = (now + tcb.tsOffset - tsEcr) | 0;
    // An echo that is not ours, or from long ago, tells nothing.
    if (rtt >= 0 && rtt < 600_000) tcb.rtt.sample(rtt);
  } else if (tcb.timing && seqLeq(tcb.timedSeq, segment.ack)) {
    tcb.timing = false;
    tcb.rtt.sample(now - tcb.timedAt);
  }
}

/** RFC 6582 3.2, steps 3 and 5. */
function recoveryAck(tcb: Tcb, acked: number, now: Ms): void {
  if (seqLt(tcb.sndUna, tcb.recover)) {
    tcb.resendOne = true;
    const { congestion, sendMss } = tcb;
    congestion.cwnd = Math.max(sendMss, congestion.cwnd - acked + (acked >= sendMss ? sendMss : 0));
    return;
  }
  tcb.inRecovery = false;
  tcb.dupAcks = 0;
  tcb.congestion.onRecovered(now);
  tcb.congestion.cwnd = Math.min(tcb.congestion.cwnd, Math.max(tcb.flight, tcb.sendMss) + tcb.sendMss);
}

/** RFC 6582 3.2, steps 2 and 4. */
function takeDuplicate(tcb: Tcb, now: Ms): void {
  tcb.dupAcks++;
  if (tcb.inRecovery) {
    tcb.congestion.cwnd += tcb.sendMss;
    tcb.user.wantOutput();
    return;
  }
  // RFC 6582 3.2 step 2: not for what was out before the last recovery ended.
  if (tcb.dupAcks !== DUPLICATES || !seqLt(tcb.recover, tcb.sndUna)) return;
  tcb.inRecovery = true;
  tcb.recover = tcb.sndMax;
  tcb.resendOne = true;
  tcb.congestion.onLoss(tcb.flight, now);
  tcb.congestion.cwnd = tcb.congestion.ssthresh + DUPLICATES * tcb.sendMss;
  tcb.env.counters.fastRetransmits++;
  tcb.user.wantOutput();
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
  const opened = window > tcb.sndWnd;
  tcb.sndWnd = window;
  if (window > tcb.maxSndWnd) tcb.maxSndWnd = window;
  if (opened) {
    tcb.persistAt = NEVER;
    tcb.probes = 0;
  }
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
  tcb.persistAt = NEVER;
  tcb.keepaliveAt = NEVER;
  tcb.timeWaitEndsAt = now + tcb.env.timeWait;
  armTimer(tcb);
}
