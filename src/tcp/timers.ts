// Deadlines and what they do. One Timer per connection, at the earliest of its deadlines (RFC 9293 3.8.1, 3.8.4, 3.8.6).

import { type Ms, NEVER } from '../base/clock.ts';
import { delayOver } from './delayed-ack.ts';
import { stopPacing } from './pacing.ts';
import { detectByTime } from './rack.ts';
import { lossFound, reduceInProportion, timedOut } from './recovery.ts';
import { seqDiff } from './seq.ts';
import { probeTail } from './tail-probe.ts';
import { setState, type Tcb } from './tcb.ts';
import { end, endedNormally } from './user.ts';

/** RFC 9293 3.8.3: give up after at least 100 s of data, 3 min of a SYN that we began; a minute of a SYN-ACK. */
const MAX_RETRIES = 10;
const MAX_SYN_RETRIES = 7;
const MAX_SYN_ACK_RETRIES = 5;

/** Probes of a closed window come ever more slowly up to this many; then silence means that nobody is there. */
const MAX_PROBE_SHIFT = 10;
const PROBE_SILENCE: Ms = 180_000;

/** First keep-alive after this silence; RFC 9293 3.8.4 (MUST-28): no less than two hours while a connection is whole. */
const KEEPALIVE_IDLE: Ms = 7_200_000;
/** Deviates for half-closed connections: the guest may have gone without a word, and holds nothing it could use. */
const KEEPALIVE_HALF_CLOSED: Ms = 75_000;
const KEEPALIVE_INTERVAL: Ms = 15_000;
const KEEPALIVE_PROBES = 8;
/** Rings that were empty this long give their storage back; ones that stay full are looked at ever less often. */
const SHRINK_AFTER: Ms = 1000;
const MAX_SHRINK_WAIT: Ms = 60_000;

/** Puts the connection's timer at its earliest deadline. */
export function armTimer(tcb: Tcb): void {
  const soon = Math.min(tcb.rtoAt, tcb.reoAt, tcb.tlpAt, tcb.persistAt, tcb.paceAt, tcb.ackAt);
  const at = Math.min(soon, tcb.keepaliveAt, tcb.timeWaitEndsAt, tcb.shrinkAt);
  if (at !== tcb.timer.at) tcb.env.timers.arm(tcb.timer, at);
}

/** The timer of `tcb` has fired: does what is due. */
export function timerFired(tcb: Tcb, now: Ms): void {
  if (tcb.timeWaitEndsAt <= now) {
    setState(tcb, 'time-wait-over');
    endedNormally(tcb);
    return;
  }
  if (tcb.rtoAt <= now) retransmit(tcb, now);
  else if (tcb.persistAt <= now) probe(tcb, now);
  else {
    if (tcb.reoAt <= now) reorderingOver(tcb, now);
    if (tcb.tlpAt <= now) probeTail(tcb, now);
  }
  if (tcb.paceAt <= now) goOn(tcb);
  if (tcb.ackAt <= now) delayOver(tcb);
  if (tcb.state !== 'CLOSED' && tcb.keepaliveAt <= now) keepalive(tcb, now);
  if (tcb.state === 'CLOSED') return;
  if (tcb.shrinkAt <= now) shrink(tcb, now);
  armTimer(tcb);
}

/** Bytes have come into a ring or left it: the rings are looked at again when the flow may be idle. */
export function noteUse(tcb: Tcb, now: Ms): void {
  if (tcb.shrinkAt <= now + SHRINK_AFTER) return;
  tcb.shrinkAt = now + SHRINK_AFTER;
  armTimer(tcb);
}

/** When the next keep-alive is due, counted from what was heard last. A handshake has its retransmissions instead. */
export function armKeepalive(tcb: Tcb, now: Ms): void {
  if (!tcb.synAcked) return;
  tcb.keepaliveAt = now + (isHalfClosed(tcb) ? KEEPALIVE_HALF_CLOSED : KEEPALIVE_IDLE);
  armTimer(tcb);
}

function isHalfClosed(tcb: Tcb): boolean {
  return tcb.finQueued || tcb.peerFinSeen;
}

/** RFC 6298 5.4 to 5.6: the earliest segment again, and twice the timeout. */
function retransmit(tcb: Tcb, now: Ms): void {
  tcb.rtoAt = NEVER;
  // It is the link that is silent, not the peer. output() follows when there is room, and sets the timer anew.
  if (tcb.linkBlocked && tcb.synAcked && tcb.recovery.log.firstLost() === 0) return;
  tcb.retries++;
  const limit =
    tcb.state === 'SYN-SENT'
      ? MAX_SYN_RETRIES
      : tcb.state === 'SYN-RECEIVED'
        ? MAX_SYN_ACK_RETRIES
        : MAX_RETRIES;
  if (tcb.retries > limit) {
    end(tcb, 'timed-out', now);
    return;
  }
  tcb.env.counters.timeouts++;
  tcb.rtt.backOff();
  tcb.reoAt = NEVER;
  tcb.tlpAt = NEVER;
  tcb.tlpDue = false;
  if (tcb.synAcked) timedOut(tcb, now);
  else tcb.sndNxt = tcb.sndUna;
  tcb.user.wantOutput();
}

/** What was only late may be lost by now. RFC 8985 6.3. */
function reorderingOver(tcb: Tcb, now: Ms): void {
  if (!detectByTime(tcb, now)) return;
  lossFound(tcb, 0, now);
  if (tcb.recovery.phase === 'recovery') reduceInProportion(tcb, 0, false, true);
  tcb.user.wantOutput();
}

/** What pacing has held back may go. */
function goOn(tcb: Tcb): void {
  tcb.paceAt = NEVER;
  tcb.user.wantOutput();
}

function probe(tcb: Tcb, now: Ms): void {
  // RFC 9293 3.8.6.1 (MUST-37): for as long as they are answered.
  if (tcb.probes === MAX_PROBE_SHIFT && now - tcb.lastHeardAt > PROBE_SILENCE) {
    end(tcb, 'timed-out', now);
    return;
  }
  tcb.persistAt = NEVER;
  tcb.probe = true;
  tcb.probes = Math.min(tcb.probes + 1, MAX_PROBE_SHIFT);
  tcb.env.counters.windowProbes++;
  tcb.user.wantOutput();
}

function keepalive(tcb: Tcb, now: Ms): void {
  const idle = isHalfClosed(tcb) ? KEEPALIVE_HALF_CLOSED : KEEPALIVE_IDLE;
  const silent = now - tcb.lastHeardAt;
  if (silent < idle) {
    tcb.keepaliveAt = tcb.lastHeardAt + idle;
    return;
  }
  if (silent >= idle + KEEPALIVE_PROBES * KEEPALIVE_INTERVAL) {
    end(tcb, 'timed-out', now);
    return;
  }
  tcb.keepaliveAt = now + KEEPALIVE_INTERVAL;
  // What is under way is probe enough.
  if (seqDiff(tcb.sndNxt, tcb.sndUna) > 0) return;
  tcb.keepaliveDue = true;
  tcb.user.wantOutput();
}

function shrink(tcb: Tcb, now: Ms): void {
  tcb.recovery.log.shrink();
  if (tcb.sendRing.length === 0) stopPacing(tcb);
  const sent = tcb.sendRing.shrink();
  const received = tcb.gaps.count === 0 && tcb.recvRing.shrink();
  // Bytes that nobody takes: waiting doubles while the peer is silent, so that a thousand such flows cost no turns.
  const wait = Math.min(Math.max(now - tcb.lastHeardAt, SHRINK_AFTER), MAX_SHRINK_WAIT);
  tcb.shrinkAt = sent && received ? NEVER : now + wait;
}
