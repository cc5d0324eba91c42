// What to send now. RFC 9293 3.8. planSend() decides, without touching anything; output() builds what was decided, until
// there is nothing more to send or the link is full. Called once per connection at the end of a turn.

import { type Ms, NEVER } from '../base/clock.ts';
import { Region } from '../base/region.ts';
import { finish } from '../wire/checksum.ts';
import * as tcp from '../wire/tcp.ts';
import { Flag } from '../wire/tcp.ts';
import * as options from '../wire/tcp-options.ts';
import { noteTextOut } from './delayed-ack.ts';
import { allowFirstBurst, fillBudget, holdBack, isPaced } from './pacing.ts';
import { keepsTimer, noteResent, pipe } from './recovery.ts';
import { writeReset } from './reset.ts';
import { MIN_TEXT, moreAcksDue, noteBareAck, sackLen, writeSack } from './sack-blocks.ts';
import { seqDiff, seqLt, seqMax } from './seq.ts';
import { maySendToUs } from './state.ts';
import { armTailProbe, noteProbe } from './tail-probe.ts';
import type { Tcb } from './tcb.ts';
import { armTimer } from './timers.ts';
import { advertise, advertiseInSyn, windowUpdateDue } from './window.ts';

/** What is no record: text that comes behind all that is in the log, and a probe of a closed window, which is not in it. */
const NEW = -1;
const PROBE = -2;

/** One segment to be sent. */
export class SendPlan {
  kind: 'nothing' | 'syn' | 'data' | 'ack' | 'refusal' = 'nothing';
  seq = 0;
  /** Bytes of payload. */
  len = 0;
  /** The record of the log that it sends again, the first of `records`; NEW or PROBE. */
  record = NEW;
  records = 0;
  /** Flag bits. */
  flags = 0;
  /** There is something to send, but not yet: pacing.ts. */
  isHeld = false;
}

const plan = new SendPlan();
const region = new Region();

/** Sends what may be sent. */
export function output(tcb: Tcb, now: Ms): void {
  if (tcb.state === 'CLOSED') return;
  restartAfterIdle(tcb, now);
  fillBudget(tcb);
  tcb.linkBlocked = false;
  while (planSend(tcb, plan)) {
    if (!emit(tcb, plan, now)) {
      tcb.linkBlocked = true;
      break;
    }
    if (plan.kind === 'data') repeat(tcb, plan, now);
  }
  if (plan.isHeld) holdBack(tcb);
  armAfterOutput(tcb, now);
}

/** Fills `to` with the next segment to send; false when there is none. Changes nothing else. */
export function planSend(tcb: Tcb, to: SendPlan): boolean {
  to.kind = 'nothing';
  to.len = 0;
  to.record = NEW;
  to.flags = Flag.Ack;
  to.isHeld = false;
  if (tcb.refusalDue) {
    to.kind = 'refusal';
    to.seq = tcb.refusedAck;
    to.flags = Flag.Rst;
  } else if (tcb.state === 'SYN-SENT' || tcb.state === 'SYN-RECEIVED') planHandshake(tcb, to);
  else if (!planProbe(tcb, to)) planText(tcb, to);
  if (to.kind === 'nothing' && mayAck(tcb)) {
    to.kind = 'ack';
    // RFC 9293 3.8.4: a keep-alive says a sequence number that was acknowledged before. A peer that waits for an ACK is
    // there, and looks at what is acknowledged only where the number is a new one.
    const isKeepalive = tcb.keepaliveDue && !tcb.ackPending && tcb.ackAt === NEVER;
    to.seq = isKeepalive ? (tcb.sndUna - 1) | 0 : tcb.bareSeq;
  }
  return to.kind !== 'nothing';
}

/** Text or FIN: what is lost, then what is new. */
function planText(tcb: Tcb, to: SendPlan): void {
  if (!planLost(tcb, to) && !planTail(tcb, to)) planNew(tcb, to, false);
  if (to.kind === 'nothing' || !isPaced(tcb)) return;
  to.kind = 'nothing';
  to.flags = Flag.Ack;
  to.len = 0;
  to.isHeld = true;
}

function mayAck(tcb: Tcb): boolean {
  if (tcb.state === 'SYN-SENT' || tcb.synAckHeld) return false;
  if (tcb.ackPending || tcb.keepaliveDue || moreAcksDue(tcb)) return true;
  return maySendToUs(tcb.state) && windowUpdateDue(tcb);
}

function planHandshake(tcb: Tcb, to: SendPlan): void {
  if (tcb.synAckHeld || tcb.sndNxt !== tcb.iss) return;
  to.kind = 'syn';
  to.seq = tcb.iss;
  to.flags = tcb.state === 'SYN-SENT' ? Flag.Syn : Flag.Syn | Flag.Ack;
}

/** A probe of a closed window: one byte, or what a narrow window takes. RFC 9293 3.8.6.1. */
function planProbe(tcb: Tcb, to: SendPlan): boolean {
  if (!tcb.probe) return false;
  const queued = tcb.sendRing.length;
  const room = Math.max(1, tcb.sndWnd);
  const len = Math.min(queued, fullSegment(tcb), room);
  const fin = tcb.finQueued && !tcb.finAcked && len === queued && (room > queued || queued === 0);
  if (len === 0 && !fin) return false;
  to.kind = 'data';
  to.record = PROBE;
  to.seq = tcb.sndUna;
  to.len = len;
  if (fin) to.flags |= Flag.Fin;
  if (len === queued) to.flags |= Flag.Psh;
  return true;
}

/** The lowest that is lost. True also where the window has no room for it: nothing new goes before it. RFC 6675 4. */
function planLost(tcb: Tcb, to: SendPlan): boolean {
  const { log } = tcb.recovery;
  const i = log.firstLost();
  if (i < 0) return false;
  const full = fullSegment(tcb);
  const out = pipe(tcb);
  // Where nothing is out no ACK will come to make room.
  const room = out === 0 ? Math.max(full, log.len(i)) : tcb.congestion.cwnd - out;
  if (log.len(i) > room) return true;
  // RFC 9293 3.8.1, RFC 1122 4.2.2.15: small ones that were lost side by side go together. The window counts bytes: of them
  // alone it would let out more than a queue has room for. Only not what the peer still takes with what lies beyond.
  const window = windowAt(tcb, log.seq(i));
  planRecords(tcb, to, i, log.lostRun(i, Math.min(full, room, window >= log.len(i) ? window : full)));
  return true;
}

function planRecords(tcb: Tcb, to: SendPlan, i: number, count: number): void {
  const { log } = tcb.recovery;
  const end = log.end(i + count - 1);
  const fin = tcb.finQueued && end === tcb.sndEnd ? 1 : 0;
  to.kind = 'data';
  to.record = i;
  to.records = count;
  to.seq = log.seq(i);
  to.len = seqDiff(end, to.seq) - fin;
  if (fin) to.flags |= Flag.Fin;
  if (seqDiff(end, tcb.dataStart) - fin === tcb.sendRing.length && to.len > 0) to.flags |= Flag.Psh;
}

/** The tail loss probe: something new, else the last segment again. RFC 8985 7.3. */
function planTail(tcb: Tcb, to: SendPlan): boolean {
  if (!tcb.tlpDue) return false;
  planNew(tcb, to, true);
  if (to.kind === 'nothing') planRecords(tcb, to, tcb.recovery.log.count - 1, 1);
  return true;
}

/** `beyond`: one segment also where the congestion window has no room. */
function planNew(tcb: Tcb, to: SendPlan, beyond: boolean): void {
  const ahead = notSent(tcb);
  const finDue = tcb.finQueued && !tcb.finAcked;
  if (ahead < 0 || (ahead === 0 && !finDue)) return;
  const full = fullSegment(tcb);
  const room = Math.min(windowAt(tcb, tcb.sndNxt), beyond ? full : tcb.congestion.cwnd - pipe(tcb));
  if (room <= 0 || tcb.recovery.log.isFull) return;
  const len = Math.min(ahead, full, room);
  // RFC 9293 3.8.6.2.1: no small segment because of a narrow window, unless it is half of the widest one seen. Without
  // Nagle's algorithm: the guest's peer has done its own, or wanted none (RFC 9293 SHLD-7, MUST-17).
  if (len < full && len < ahead && (len < tcb.maxSndWnd / 2 || tcb.sndNxt !== tcb.sndUna)) return;
  to.kind = 'data';
  to.seq = tcb.sndNxt;
  to.len = len;
  if (len < ahead) return;
  if (ahead > 0) to.flags |= Flag.Psh;
  if (finDue && room > len) to.flags |= Flag.Fin;
}

/** Bytes of text that wait to be sent; below zero when our FIN has been. */
function notSent(tcb: Tcb): number {
  return tcb.sendRing.length - seqDiff(tcb.sndNxt, tcb.dataStart);
}

/** Bytes that the peer's window takes from `seq` on. */
function windowAt(tcb: Tcb, seq: number): number {
  return tcb.sndWnd - seqDiff(seq, tcb.sndUna);
}

/** Payload bytes of a full segment with the options that it will carry now. RFC 6691. */
function fullSegment(tcb: Tcb): number {
  return tcb.sendMss - sackLen(tcb, sackRoom(tcb, 0));
}

/** Room for SACK blocks beside so much text: what is sent again goes as it was, with the blocks that fit beside it. */
function sackRoom(tcb: Tcb, textLen: number): number {
  return tcb.sendMss - Math.max(textLen, MIN_TEXT);
}

function emit(tcb: Tcb, what: SendPlan, now: Ms): boolean {
  if (what.kind === 'refusal') return emitRefusal(tcb, what);
  const isSyn = what.kind === 'syn';
  const optionsLen = isSyn
    ? synOptionsLen(tcb)
    : (tcb.timestamps ? options.TIMESTAMPS_LEN : 0) + sackLen(tcb, sackRoom(tcb, what.len));
  const header = tcp.MIN_HEADER_LEN + optionsLen;
  const at = tcb.out.reserve(header + what.len);
  if (at < 0) return false;
  const { memory } = tcb.env.arena;
  const v = memory.view;
  const ack = what.flags & Flag.Ack ? tcb.rcvNxt : 0;
  const window = isSyn ? advertiseInSyn(tcb) : advertise(tcb);
  tcp.write(v, at, tcb.ownPort, tcb.peerPort, what.seq, ack, header, what.flags, window);
  if (isSyn) writeSynOptions(tcb, at + tcp.MIN_HEADER_LEN, now);
  else writeOptions(tcb, at + tcp.MIN_HEADER_LEN, what.len, now);
  let sum = tcb.pseudoSum + header + what.len + memory.sum(at, header);
  if (what.len > 0) sum += tcb.sendRing.copySum(at + header, seqDiff(what.seq, tcb.dataStart), what.len);
  tcp.setChecksum(v, at, finish(sum));
  tcb.out.commit(header + what.len);
  noteSent(tcb, what, now);
  return true;
}

/**
 * Behind a full segment of new text mostly come more of them, all alike: those are made in one go, as many as planSend()
 * would have go, but for the last of the queue, which has PSH. What it may not have, it leaves to planSend().
 */
function repeat(tcb: Tcb, { record, flags, len }: SendPlan, now: Ms): void {
  const { sendRing, recovery, congestion } = tcb;
  if (record !== NEW || flags !== Flag.Ack || tcb.out.repeat === undefined) return;
  // Paced, nothing behind it, behind a window that was taken back, something lost, or SACK blocks: one by one.
  if (tcb.pacer !== null || tcb.sndNxt !== tcb.sndMax || recovery.log.lostBytes > 0) return;
  const ahead = notSent(tcb);
  const room = Math.min(ahead - 1, windowAt(tcb, tcb.sndNxt), congestion.cwnd - pipe(tcb));
  if (room < len || len !== fullSegment(tcb) || sackLen(tcb, sackRoom(tcb, len)) > 0) return;
  sendRing.readable(sendRing.length - ahead, region);
  // A whole number also for V8, which would make an object of a fraction at each call.
  const count = Math.min((Math.min(room, region.len) / len) | 0, recovery.log.room);
  const header = tcp.MIN_HEADER_LEN + (tcb.timestamps ? options.TIMESTAMPS_LEN : 0);
  if (count > 0) noteTrainSent(tcb, len, tcb.out.repeat(header, len, region.off, count), now);
}

/** Books `count` segments of new text, `len` bytes each, behind one that was booked in this turn. */
function noteTrainSent(tcb: Tcb, len: number, count: number, now: Ms): void {
  const { recovery } = tcb;
  tcb.env.counters.segmentsOut += count;
  if (recovery.phase === 'recovery') recovery.prrOut += count * len;
  recovery.log.pushTrain(len, count, now);
  tcb.sndNxt = (tcb.sndNxt + count * len) | 0;
  tcb.sndMax = tcb.sndNxt;
}

function emitRefusal(tcb: Tcb, what: SendPlan): boolean {
  const at = tcb.out.reserve(tcp.MIN_HEADER_LEN);
  if (at < 0) return false;
  writeReset(tcb.env.arena.memory, at, tcb.ownPort, tcb.peerPort, tcb.pseudoSum, what.seq, 0, what.flags);
  tcb.out.commit(tcp.MIN_HEADER_LEN);
  tcb.refusalDue = false;
  tcb.env.counters.segmentsOut++;
  tcb.env.counters.resetsOut++;
  return true;
}

/** Books a segment that went out. */
function noteSent(tcb: Tcb, what: SendPlan, now: Ms): void {
  const { counters } = tcb.env;
  counters.segmentsOut++;
  if (what.kind === 'ack') noteBareAck(tcb);
  tcb.ackPending = false;
  tcb.ackAt = NEVER;
  tcb.keepaliveDue = false;
  tcb.lastAckSent = tcb.rcvNxt;
  if (what.kind === 'ack') return;
  const end = (what.seq + what.len + (what.flags & Flag.Syn ? 1 : 0) + (what.flags & Flag.Fin ? 1 : 0)) | 0;
  const again = seqLt(what.seq, tcb.sndMax);
  if (again) {
    // Not a byte that a probe of a closed window has carried before, with new ones behind it.
    if (what.kind === 'syn' || what.record >= 0) noteRetransmit(tcb, what);
    tcb.resentEnd = seqMax(tcb.resentEnd, end);
    tcb.resentTs = (now + tcb.tsOffset) | 0;
  } else if (what.kind === 'syn') tcb.synSentAt = now;
  tcb.lastSentAt = now;
  if (tcb.pacer !== null) tcb.pacer.budget -= what.len;
  tcb.sndMax = seqMax(tcb.sndMax, end);
  if (what.kind === 'syn') tcb.sndNxt = end;
  else noteText(tcb, what, end, again, now);
}

function noteRetransmit(tcb: Tcb, { len }: SendPlan): void {
  const { counters } = tcb.env;
  counters.retransmits++;
  counters.retransmittedBytes += len;
  tcb.retransmits++;
}

/** Books text or FIN in the log, a probe of a closed window apart: what it carried is sent again until it is acknowledged. */
function noteText(tcb: Tcb, what: SendPlan, end: number, again: boolean, now: Ms): void {
  const { recovery } = tcb;
  if (what.record === PROBE) {
    tcb.probe = false;
    return;
  }
  if (recovery.phase === 'recovery') recovery.prrOut += what.len;
  if (what.record === NEW) {
    recovery.log.push(end, now, again);
    noteTextOut(tcb);
    tcb.sndNxt = end;
    tcb.tlpUnset = true;
  } else {
    noteResent(tcb, what, now);
    // RFC 6675 5 step 4.3: the oldest gets a whole timeout again.
    if (what.record === 0 && tcb.rtoAt !== NEVER && !keepsTimer(tcb)) tcb.rtoAt = now + tcb.rtt.rto;
  }
  if (tcb.tlpDue) noteProbe(tcb, what.record !== NEW);
}

/** The retransmission timer runs while something is out, the persist timer while the window holds something back. */
function armAfterOutput(tcb: Tcb, now: Ms): void {
  const { log } = tcb.recovery;
  if (tcb.sndNxt !== tcb.sndUna) {
    // A link without room is no silence of the peer: what could not be sent again does not begin to be waited for. What
    // is waited for already still is: with luck like that it would be put off for ever.
    if (tcb.rtoAt === NEVER && !(tcb.linkBlocked && log.firstLost() === 0)) tcb.rtoAt = now + tcb.rtt.rto;
    tcb.persistAt = NEVER;
    tcb.probes = 0;
    if (tcb.tlpUnset) armTailProbe(tcb, now);
  } else {
    tcb.rtoAt = NEVER;
    tcb.reoAt = NEVER;
    tcb.tlpAt = NEVER;
    const waiting = tcb.synAcked && tcb.sndEnd !== tcb.sndNxt;
    // RFC 9293 3.8.6.1: the first probe after one RTO, then ever slower. A link without room neither begins that nor puts
    // it off.
    if (!waiting) tcb.persistAt = NEVER;
    else if (tcb.persistAt === NEVER && !tcb.linkBlocked)
      tcb.persistAt = now + Math.min(tcb.rtt.rto * 2 ** tcb.probes, 60_000);
  }
  tcb.tlpUnset = false;
  armTimer(tcb);
}

function restartAfterIdle(tcb: Tcb, now: Ms): void {
  if (!tcb.synAcked || tcb.sndNxt !== tcb.sndUna || now - tcb.lastSentAt <= tcb.rtt.pause) return;
  tcb.congestion.onIdle(now);
  allowFirstBurst(tcb);
}

/** A SYN says what we can do, a SYN-ACK only what the SYN could. RFC 7323 1.3, RFC 2018 2. */
function synOptionsLen(tcb: Tcb): number {
  const asked = tcb.state === 'SYN-SENT';
  let len = 4;
  if (asked || tcb.sackPermitted) len += 4;
  if (asked || tcb.timestamps) len += options.TIMESTAMPS_LEN;
  if (asked || tcb.windowScaling) len += 4;
  return len;
}

function writeSynOptions(tcb: Tcb, at: number, now: Ms): void {
  const v = tcb.env.arena.memory.view;
  const asked = tcb.state === 'SYN-SENT';
  let end = options.writeMss(v, at, tcb.env.mtu - 40);
  if (asked || tcb.sackPermitted) end = options.writeSackPermitted(v, end);
  if (asked || tcb.timestamps)
    end = options.writeTimestamps(v, end, (now + tcb.tsOffset) | 0, asked ? 0 : tcb.tsRecent);
  if (asked || tcb.windowScaling) options.writeWindowScale(v, end, tcb.rcvWindShift);
}

function writeOptions(tcb: Tcb, at: number, textLen: number, now: Ms): void {
  const v = tcb.env.arena.memory.view;
  let end = at;
  if (tcb.timestamps) end = options.writeTimestamps(v, end, (now + tcb.tsOffset) | 0, tcb.tsRecent);
  writeSack(tcb, end, sackRoom(tcb, textLen));
}
