// A segment arrives: RFC 9293 3.10.7. Control flow only, in the order of the RFC; each step is a function of
// input-handshake.ts, input-ack.ts or input-data.ts that says what is to become of the segment. Nothing here sends:
// `ackPending` makes output() acknowledge at the end of the turn.

import type { Ms } from '../base/clock.ts';
import { Drop, Loss } from '../base/drop.ts';
import { Flag } from '../wire/tcp.ts';
import { enterTimeWait, processAck } from './input-ack.ts';
import { processFin, processText } from './input-data.ts';
import { processHandshake } from './input-handshake.ts';
import { noteDuplicate } from './sack-blocks.ts';
import type { Segment } from './segment.ts';
import { seqDiff, seqLeq, seqLt } from './seq.ts';
import { isClosed, isSynchronized } from './state.ts';
import type { Tcb } from './tcb.ts';
import { end } from './user.ts';
import { rcvWindow } from './window.ts';

/** RFC 7323 5.5: TS.Recent is worth nothing after 24 days. */
const TS_RECENT_LIFE: Ms = 24 * 24 * 3600 * 1000;
/** RFC 5961 7: challenge ACKs of one connection a second. */
const CHALLENGES_PER_SECOND = 10;

/**
 * Processes `segment`, which is for `tcb` and whose checksum is right. The verdict on its frame: Drop.None when it was
 * used, also in part. The connection may be CLOSED afterwards, its user told.
 */
export function segmentArrives(tcb: Tcb, segment: Segment, now: Ms): Drop {
  tcb.env.counters.segmentsIn++;
  if (isClosed(tcb.state)) return Drop.TcpNoFlow;
  tcb.lastHeardAt = now;
  if (!isSynchronized(tcb.state)) {
    const verdict = processHandshake(tcb, segment, now);
    if (verdict !== 'go-on') return verdict;
  } else {
    const verdict = checkSynchronized(tcb, segment, now);
    if (verdict !== 'go-on') return verdict;
    if (!processAck(tcb, segment, now)) return Drop.TcpNotAcceptable;
  }
  if (isClosed(tcb.state)) return Drop.None;
  // The sixth step, URG: the pointer is ignored and urgent data delivered in line (RFC 9293 3.8.5, RFC 6093 5).
  const verdict = processText(tcb, segment, now);
  // A FIN counts even where its text had come before, or has to come again.
  processFin(tcb, segment, now);
  return verdict;
}

/** First to fourth step in the synchronized states: sequence number, RST, SYN. RFC 9293 3.10.7.4, RFC 5961, RFC 7323. */
function checkSynchronized(tcb: Tcb, segment: Segment, now: Ms): Drop | 'go-on' {
  if (tcb.timestamps && !timestampOk(tcb, segment, now)) return Drop.TcpNotAcceptable;
  if (!inWindow(tcb, segment)) {
    // RFC 9293 3.10.7.4 first: an ACK, unless it is a reset. A keep-alive ends here, and is answered so.
    if (segment.has(Flag.Rst)) return Drop.TcpNotAcceptable;
    noteOldSegment(tcb, segment);
    // Without text it may be the answer to an ACK of ours: two ends that disagree must not go on like that for ever.
    if (segment.payloadLen > 0 || mayChallenge(tcb, now)) askForAck(tcb);
    // 3.10.7.4 eighth: the FIN again, so our ACK of it was lost. The wait begins anew.
    if (tcb.state === 'TIME-WAIT' && segment.has(Flag.Fin)) enterTimeWait(tcb, now);
    return isLateAck(tcb, segment) && processAck(tcb, segment, now) ? Drop.None : Drop.TcpNotAcceptable;
  }
  if (segment.has(Flag.Rst)) return processReset(tcb, segment, now);
  if (segment.has(Flag.Syn)) {
    // RFC 5961 4.2: a SYN in the window gets a challenge ACK, not a reset.
    challenge(tcb, now);
    return Drop.TcpNotAcceptable;
  }
  if (tcb.timestamps && seqLeq(segment.seq, tcb.lastAckSent)) {
    tcb.tsRecent = segment.options.tsVal;
    tcb.tsRecentAt = now;
  }
  return 'go-on';
}

function processReset(tcb: Tcb, segment: Segment, now: Ms): Drop {
  // RFC 5961 3.2: only the exact next sequence number resets, anything else in the window is asked back.
  if (segment.seq !== tcb.rcvNxt) {
    challenge(tcb, now);
    return Drop.TcpNotAcceptable;
  }
  // RFC 9293 3.10.7.4 second: where both FINs have been sent it is no news to the user.
  const over = tcb.state === 'CLOSING' || tcb.state === 'LAST-ACK' || tcb.state === 'TIME-WAIT';
  end(tcb, over ? 'normal' : 'peer-reset', now);
  return Drop.None;
}

/**
 * The table of RFC 9293 3.10.7.4, wider in two places. With a closed window a segment that reaches rcvNxt is still looked
 * at for its ACK (MUST-66). And a bare ACK may stand at the right edge: its sender has filled the window, and part of
 * that was lost; two peers in that position would answer each other's ACKs for ever, and take none.
 */
function inWindow(tcb: Tcb, segment: Segment): boolean {
  const window = rcvWindow(tcb);
  const from = seqDiff(segment.seq, tcb.rcvNxt);
  const len = segment.len;
  if (from === 0) return true;
  if (from > 0) return from < window || (from === window && len === 0 && !segment.has(Flag.Rst));
  return from + len > 0;
}

/**
 * A bare ACK from behind rcvNxt that says something new. Whose window was taken back cannot know which number is the right
 * one: what it has sent beyond the window may have come or not (tcb.bareSeq). Where its ACKs were not taken, we would send
 * again for ever what it has. RFC 9293 3.8.6 (MUST-34).
 */
function isLateAck(tcb: Tcb, segment: Segment): boolean {
  const behind = seqDiff(tcb.rcvNxt, segment.seq);
  const isBare = segment.len === 0 && !segment.has(Flag.Rst);
  return isBare && behind > 0 && behind <= tcb.recvRing.limit && seqLt(tcb.sndUna, segment.ack);
}

/** PAWS, RFC 7323 5.3 R1. A reset is not subject to it (5.2). */
function timestampOk(tcb: Tcb, segment: Segment, now: Ms): boolean {
  if (segment.has(Flag.Rst)) return true;
  // RFC 7323 3.2: without the option SHOULD be dropped silently once it was agreed on. Not a SYN: it is of a peer that
  // has forgotten what was agreed on, and has to be challenged (RFC 5961 4.2).
  if (!segment.options.hasTimestamps) return segment.has(Flag.Syn);
  if (!seqLt(segment.options.tsVal, tcb.tsRecent) || now - tcb.tsRecentAt > TS_RECENT_LIFE) return true;
  noteOldSegment(tcb, segment);
  if (segment.payloadLen > 0 || mayChallenge(tcb, now)) askForAck(tcb);
  return false;
}

/** A segment that lies before rcvNxt has come before: the peer sent it twice, or the network did. RFC 2883. */
function noteOldSegment(tcb: Tcb, segment: Segment): void {
  const end = (segment.seq + segment.len) | 0;
  if (!segment.has(Flag.Syn) && seqLeq(end, tcb.rcvNxt)) noteDuplicate(tcb, segment.seq, end);
}

/** A duplicate or an out-of-window segment is answered with an ACK. */
export function askForAck(tcb: Tcb): void {
  tcb.ackPending = true;
  tcb.user.wantOutput();
}

/** RFC 5961 7: an ACK that asks whether the peer meant it, rate-limited. */
export function challenge(tcb: Tcb, now: Ms): void {
  if (!mayChallenge(tcb, now)) return;
  tcb.env.counters.challengeAcks++;
  askForAck(tcb);
}

/** Takes one of this second's ACKs to segments that were not acceptable; counts where there is none left. */
export function mayChallenge(tcb: Tcb, now: Ms): boolean {
  const second = Math.floor(now / 1000);
  if (second !== tcb.challengeSecond) {
    tcb.challengeSecond = second;
    tcb.challengesLeft = CHALLENGES_PER_SECOND;
  }
  if (tcb.challengesLeft === 0) {
    tcb.env.drops.lose(Loss.ChallengeRateLimited);
    return false;
  }
  tcb.challengesLeft--;
  return true;
}
