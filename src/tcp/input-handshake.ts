// A segment in CLOSED (a SYN that opens), SYN-SENT and SYN-RECEIVED. RFC 9293 3.10.7.2 to 3.10.7.4.

import { type Ms, NEVER } from '../base/clock.ts';
import { Drop } from '../base/drop.ts';
import { Flag } from '../wire/tcp.ts';
import { TIMESTAMPS_LEN } from '../wire/tcp-options.ts';
import { askForAck, challenge, mayChallenge } from './input.ts';
import type { Segment } from './segment.ts';
import { seqDiff, seqLeq, seqLt } from './seq.ts';
import { DEFAULT_MSS, setState, type Tcb } from './tcb.ts';
import { armKeepalive } from './timers.ts';
import { end } from './user.ts';
import { advertiseInSyn, initialRcvLimit, rcvWindow, shiftFor } from './window.ts';

/** Smallest MSS we take seriously: less would be a way to make us send a frame per byte. RFC 9293 3.7.1, RFC 791. */
const MIN_MSS = 48;

/**
 * Passive open by `segment`, a SYN without ACK. The SYN-ACK is held until accept(): whoever asks us for a connection
 * learns that it stands only when it does. RFC 9293 3.10.7.2 third.
 */
export function passiveOpen(tcb: Tcb, segment: Segment, now: Ms): void {
  setState(tcb, 'rcv-syn');
  tcb.synAckHeld = true;
  tcb.lastHeardAt = now;
  takeSyn(tcb, segment, now);
}

/** 'go-on' when the segment has made the connection ESTABLISHED: its ACK and window are taken, its text is not. */
export function processHandshake(tcb: Tcb, segment: Segment, now: Ms): Drop | 'go-on' {
  return tcb.state === 'SYN-SENT' ? inSynSent(tcb, segment, now) : inSynReceived(tcb, segment, now);
}

/** RFC 9293 3.10.7.3. */
function inSynSent(tcb: Tcb, segment: Segment, now: Ms): Drop | 'go-on' {
  const acked = segment.has(Flag.Ack);
  if (acked && (seqLeq(segment.ack, tcb.iss) || seqLt(tcb.sndMax, segment.ack))) return refuse(tcb, segment);
  if (segment.has(Flag.Rst)) {
    if (!acked) return Drop.TcpNotAcceptable;
    end(tcb, 'peer-reset', now);
    return Drop.None;
  }
  if (!segment.has(Flag.Syn)) return Drop.TcpNotAcceptable;
  takeSyn(tcb, segment, now);
  // What our SYN has promised, counted from the peer's number: text may come with the SYN-ACK.
  advertiseInSyn(tcb);
  if (!acked) {
    // Simultaneous open, RFC 9293 3.5: our SYN goes out again, as a SYN-ACK.
    setState(tcb, 'rcv-syn');
    tcb.sndNxt = tcb.iss;
    tcb.user.wantOutput();
    return Drop.None;
  }
  setState(tcb, 'rcv-syn-ack');
  established(tcb, segment, now);
  stripSyn(segment);
  tcb.ackPending = true;
  return 'go-on';
}

/** RFC 9293 3.10.7.4 for SYN-RECEIVED. */
function inSynReceived(tcb: Tcb, segment: Segment, now: Ms): Drop | 'go-on' {
  const from = seqDiff(segment.seq, tcb.rcvNxt);
  const inWindow = from >= 0 && from <= rcvWindow(tcb);
  if (segment.has(Flag.Rst)) {
    if (from === 0) end(tcb, 'peer-reset', now);
    else if (inWindow) challenge(tcb, now);
    return from === 0 ? Drop.None : Drop.TcpNotAcceptable;
  }
  if (segment.has(Flag.Syn)) {
    const verdict = synAgain(tcb, segment, now);
    if (verdict !== 'go-on') return verdict;
  } else if (!inWindow) {
    // RFC 9293 3.10.7.4 first. RFC 5961 7: not for ever, to whoever guesses at a handshake.
    if (mayChallenge(tcb, now)) askForAck(tcb);
    return Drop.TcpNotAcceptable;
  }
  if (!segment.has(Flag.Ack) || tcb.synAckHeld) return Drop.TcpNotAcceptable;
  if (!seqLt(tcb.sndUna, segment.ack) || seqLt(tcb.sndMax, segment.ack)) return refuse(tcb, segment);
  setState(tcb, 'rcv-ack-of-syn');
  noteFirstTimestamp(tcb, segment, now);
  established(tcb, segment, now);
  stripSyn(segment);
  return 'go-on';
}

/**
 * RFC 7323 4.3: the first text is answered with its own time. Not text ahead of its turn: PAWS would drop what was sent
 * before it and comes after.
 */
function noteFirstTimestamp(tcb: Tcb, { seq, options }: Segment, now: Ms): void {
  if (!tcb.timestamps || !options.hasTimestamps || !seqLeq(seq, tcb.lastAckSent)) return;
  if (!seqLeq(tcb.tsRecent, options.tsVal)) return;
  tcb.tsRecent = options.tsVal;
  tcb.tsRecentAt = now;
}

/** An ACK of what is not our SYN: the peer holds a connection that we know nothing of. RFC 9293 3.10.7.3, 3.10.7.4 fifth. */
function refuse(tcb: Tcb, segment: Segment): Drop {
  if (!segment.has(Flag.Rst)) {
    tcb.refusalDue = true;
    tcb.refusedAck = segment.ack;
    tcb.user.wantOutput();
  }
  return Drop.TcpNotAcceptable;
}

/** A SYN in SYN-RECEIVED; 'go-on': it acknowledges ours. */
function synAgain(tcb: Tcb, segment: Segment, now: Ms): Drop | 'go-on' {
  if (segment.seq !== tcb.irs) {
    // The peer has begun anew. As long as it has not heard of us, so do we; else we ask (RFC 5961 4.2), and its reset
    // clears the way.
    if (tcb.synAckHeld && !segment.has(Flag.Ack)) {
      takeSyn(tcb, segment, now);
      return Drop.None;
    }
    challenge(tcb, now);
    return Drop.TcpNotAcceptable;
  }
  if (segment.has(Flag.Ack)) return 'go-on';
  // The same SYN again. Before accept() it is only counted; after, the SYN-ACK was lost.
  if (!tcb.synAckHeld) resendSynAck(tcb);
  return Drop.None;
}

/** The SYN has been taken: what is left of the segment begins behind it. */
function stripSyn(segment: Segment): void {
  if (!segment.has(Flag.Syn)) return;
  segment.seq = (segment.seq + 1) | 0;
  segment.flags &= ~Flag.Syn;
}

function resendSynAck(tcb: Tcb): void {
  tcb.sndNxt = tcb.iss;
  tcb.user.wantOutput();
}

/** Takes the peer's initial sequence number and options. RFC 9293 3.7.1, RFC 7323 2.2, 3.2, RFC 2018 2. */
function takeSyn(tcb: Tcb, segment: Segment, now: Ms): void {
  const { options } = segment;
  tcb.irs = segment.seq;
  tcb.rcvNxt = (segment.seq + 1) | 0;
  tcb.rcvAdv = tcb.rcvNxt;
  tcb.lastAckSent = tcb.rcvNxt;
  tcb.rcvLimit = initialRcvLimit(tcb);
  tcb.sackPermitted = options.sackPermitted;
  tcb.timestamps = options.hasTimestamps;
  if (options.hasTimestamps) {
    tcb.tsRecent = options.tsVal;
    tcb.tsRecentAt = now;
  }
  // RFC 7323 2.2: both scale or neither does.
  tcb.windowScaling = options.windShift >= 0;
  tcb.sndWindShift = Math.max(0, options.windShift);
  tcb.rcvWindShift = tcb.windowScaling ? shiftFor(tcb.recvRing.limit) : 0;
  const theirs = options.mss === 0 ? DEFAULT_MSS : Math.max(MIN_MSS, options.mss);
  // RFC 6691: the peer's MSS counts no options, so ours come off it; never more than our own link takes.
  tcb.sendMss = Math.min(theirs, tcb.env.mtu - 40) - (tcb.timestamps ? TIMESTAMPS_LEN : 0);
  tcb.congestion.setMss(tcb.sendMss);
  // A window in a SYN is not scaled.
  tcb.sndWnd = segment.wnd;
  tcb.maxSndWnd = segment.wnd;
  tcb.sndWl1 = segment.seq;
  tcb.sndWl2 = segment.ack;
}

function established(tcb: Tcb, segment: Segment, now: Ms): void {
  tcb.synAcked = true;
  tcb.sndUna = (tcb.iss + 1) | 0;
  tcb.sndNxt = tcb.sndUna;
  tcb.sndMax = tcb.sndUna;
  tcb.recover = tcb.iss;
  tcb.recovery.log.clear(tcb.sndUna);
  tcb.recovery.fack = tcb.sndUna;
  // RFC 6298 5.2: our SYN was all that was out.
  tcb.rtoAt = NEVER;
  tcb.retries = 0;
  // Our SYN went twice, by our timer or because the peer said its own again: which of the two is answered nobody knows.
  if (tcb.retransmits > 0) {
    tcb.rtt.afterLostSyn();
    // RFC 5681 3.1: one segment at first.
    tcb.congestion.onTimeout(0, true, now);
  } else tcb.rtt.sample(now - tcb.synSentAt);
  if (!segment.has(Flag.Syn)) {
    tcb.sndWnd = segment.wnd << tcb.sndWindShift;
    tcb.maxSndWnd = tcb.sndWnd;
    tcb.sndWl1 = segment.seq;
  }
  tcb.sndWl2 = segment.ack;
  armKeepalive(tcb, now);
  tcb.user.wantOutput();
  tcb.user.onEstablished();
  if (tcb.finQueued && tcb.state === 'ESTABLISHED') setState(tcb, 'close');
}
