// What the user of a connection may ask for. RFC 9293 3.9.1. None of these sends: they mark, output() sends.

import type { Ms } from '../base/clock.ts';
import { NEVER } from '../base/clock.ts';
import { finish } from '../wire/checksum.ts';
import * as tcp from '../wire/tcp.ts';
import { Flag } from '../wire/tcp.ts';
import { TIMESTAMPS_LEN, writeTimestamps } from '../wire/tcp-options.ts';
import { stopPacing } from './pacing.ts';
import { type CloseReason, setState, type Tcb } from './tcb.ts';
import { armKeepalive, armTimer, noteUse } from './timers.ts';
import { initialRcvLimit, noteDelivered, shiftFor } from './window.ts';

/** Active open. RFC 9293 3.9.1.1. */
export function connect(tcb: Tcb, now: Ms): void {
  setState(tcb, 'open');
  tcb.rcvWindShift = shiftFor(tcb.recvRing.limit);
  tcb.rcvLimit = initialRcvLimit(tcb);
  tcb.lastHeardAt = now;
  tcb.user.wantOutput();
}

/** Lets the SYN-ACK go that a passive open has held back. */
export function accept(tcb: Tcb): void {
  tcb.synAckHeld = false;
  tcb.user.wantOutput();
}

/** `len` bytes were put behind the send ring's queue. */
export function sent(tcb: Tcb, now: Ms): void {
  noteUse(tcb, now);
  tcb.user.wantOutput();
}

/** The user has taken `len` bytes off the front of recvRing. */
export function received(tcb: Tcb, len: number, now: Ms): void {
  receivedBeforeOutput(tcb, len, now);
  tcb.user.wantOutput();
}

/** The same, for a user that calls output() next: the window may have opened. */
export function receivedBeforeOutput(tcb: Tcb, len: number, now: Ms): void {
  tcb.recvRing.consume(len);
  noteDelivered(tcb, len, now);
  // The user may still take what came before the end.
  if (tcb.state !== 'CLOSED') noteUse(tcb, now);
}

/** No more data from us: FIN follows the last byte. Idempotent. RFC 9293 3.9.1.4. */
export function close(tcb: Tcb, now: Ms): void {
  if (tcb.finQueued || tcb.state === 'CLOSED') return;
  tcb.finQueued = true;
  if (tcb.state === 'ESTABLISHED' || tcb.state === 'CLOSE-WAIT') setState(tcb, 'close');
  armKeepalive(tcb, now);
  tcb.user.wantOutput();
}

/**
 * Ends the connection now, with a reset where the peer knows of it. RFC 9293 3.9.1.6. onClosed does not follow. False: the
 * link had no room for the reset: sendReset() when it has.
 */
export function abort(tcb: Tcb, now: Ms): boolean {
  const told = !isToBeTold(tcb) || sendReset(tcb, now);
  discard(tcb);
  return told;
}

/** Ends the connection now and says nothing: the peer is told in another way. onClosed does not follow. */
export function discard(tcb: Tcb): void {
  if (tcb.state === 'CLOSED') return;
  setState(tcb, 'abort');
  stop(tcb);
}

/** Gives back the rings. Only when nobody holds a region of them. */
export function freeRings(tcb: Tcb): void {
  tcb.sendRing.free();
  tcb.recvRing.free();
}

/** The connection is over for `reason`, which its user hears. A peer that timed out is told by a reset. */
export function end(tcb: Tcb, reason: CloseReason, now: Ms): void {
  // Where it cannot go there is nobody to miss it: the peer has been silent for minutes.
  if (reason === 'timed-out' && isToBeTold(tcb)) sendReset(tcb, now);
  setState(tcb, 'abort');
  stop(tcb);
  tcb.user.onClosed(reason);
}

/** The table has led to CLOSED: both sides are done. */
export function endedNormally(tcb: Tcb): void {
  stop(tcb);
  tcb.user.onClosed('normal');
}

function stop(tcb: Tcb): void {
  tcb.rtoAt = NEVER;
  tcb.reoAt = NEVER;
  tcb.tlpAt = NEVER;
  tcb.persistAt = NEVER;
  tcb.ackAt = NEVER;
  tcb.keepaliveAt = NEVER;
  tcb.timeWaitEndsAt = NEVER;
  tcb.shrinkAt = NEVER;
  stopPacing(tcb);
  armTimer(tcb);
}

/** Has the peer a connection that it does not know to be over? */
function isToBeTold({ state }: Tcb): boolean {
  return state !== 'CLOSED' && state !== 'TIME-WAIT' && state !== 'SYN-SENT';
}

/**
 * RST|ACK at the next sequence number: acceptable to a peer in any state that has heard of us (RFC 9293
 * 3.10.5, RFC 5961 3.2). A peer whose SYN we have not answered gets its own number acknowledged (3.10.7.1). RFC 7323 3.2:
 * with timestamps, where they are in force. False: the link has no room.
 */
export function sendReset(tcb: Tcb, now: Ms): boolean {
  const stamped = tcb.synAcked && tcb.timestamps;
  const len = tcp.MIN_HEADER_LEN + (stamped ? TIMESTAMPS_LEN : 0);
  const at = tcb.out.reserve(len);
  if (at < 0) return false;
  const seq = tcb.synAckHeld ? 0 : tcb.bareSeq;
  const { memory } = tcb.env.arena;
  const v = memory.view;
  tcp.write(v, at, tcb.ownPort, tcb.peerPort, seq, tcb.rcvNxt, len, Flag.Rst | Flag.Ack, 0);
  if (stamped) writeTimestamps(v, at + tcp.MIN_HEADER_LEN, (now + tcb.tsOffset) | 0, tcb.tsRecent);
  tcp.setChecksum(v, at, finish(tcb.pseudoSum + len + memory.sum(at, len)));
  tcb.out.commit(len);
  tcb.env.counters.resetsOut++;
  tcb.lastSentAt = now;
  return true;
}
