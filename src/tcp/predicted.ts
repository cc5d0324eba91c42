// What most segments of a stream to us are: the next one in order, text and nothing else, while all that we said is
// acknowledged. For those the steps of input.ts come out the same each time, so what they would do is done here, and the
// payload is copied to its place while its checksum is made, in one pass: the bytes wait behind the queue, and nothing else
// has changed, should the checksum be wrong. Any doubt, and it is not one of those. (Van Jacobson's header prediction.)

import type { Ms } from '../base/clock.ts';
import { Drop } from '../base/drop.ts';
import { isValid } from '../wire/checksum.ts';
import { Flag } from '../wire/tcp.ts';
import { noteTextIn } from './delayed-ack.ts';
import { noteInOrder } from './sack-blocks.ts';
import type { Segment } from './segment.ts';
import { seqLeq, seqLt, seqMax } from './seq.ts';
import type { Tcb } from './tcb.ts';
import { noteUse } from './timers.ts';
import { noteArrived, rcvWindow } from './window.ts';

/**
 * Takes the segment of `len` bytes at `off` if it is the one that is expected and there is room for it: the verdict. null,
 * and nothing done, where it is another one; then tcp.checkSum() and segmentArrives() follow. `segment` has been read from
 * there, its checksum not yet looked at. `pseudo`: checksum.pseudoSumIpv4.
 */
export function takePredicted(
  tcb: Tcb,
  segment: Segment,
  off: number,
  len: number,
  pseudo: number,
  now: Ms,
): Drop | null {
  const { payload, payloadLen, options } = segment;
  const isPredicted =
    isExpected(tcb, segment.seq, segment.ack, payloadLen) &&
    (segment.flags & ~Flag.Psh) === Flag.Ack &&
    segment.wnd << tcb.sndWindShift === tcb.sndWnd &&
    options.hasTimestamps === tcb.timestamps &&
    options.sackBlocks === 0;
  if (!isPredicted) return null;
  const header = tcb.env.arena.memory.sum(off, payload - off);
  return take(tcb, segment.seq, options.tsVal, payload, payloadLen, pseudo + len + header, now);
}

/**
 * A train has been taken behind a segment that takePredicted() took, in the same turn: `frames` segments alike, `bytes` of
 * text that lie behind the receive ring's queue, of which the last segment's `last`. All else is as that one has left it:
 * nothing of ours out, nothing missing, nothing to be timed anew, the user told.
 */
export function noteTrain(tcb: Tcb, frames: number, bytes: number, last: number): void {
  tcb.recvRing.extend(bytes);
  tcb.rcvNxt = (tcb.rcvNxt + bytes) | 0;
  tcb.sndWl1 = seqMax(tcb.sndWl1, (tcb.rcvNxt - last) | 0);
  tcb.ackPending = true;
  tcb.textsIn += frames;
  tcb.env.counters.segmentsIn += frames;
}

/** Is it the next one in order, and is nothing of ours out and nothing of the peer's missing? */
function isExpected(tcb: Tcb, seq: number, ack: number, payloadLen: number): boolean {
  return (
    seq === tcb.rcvNxt &&
    ack === tcb.sndUna &&
    tcb.state === 'ESTABLISHED' &&
    payloadLen > 0 &&
    payloadLen <= rcvWindow(tcb) &&
    tcb.sndNxt === tcb.sndUna &&
    tcb.gaps.count === 0 &&
    !tcb.peerFinSeen
  );
}

/** `sum`: of all that the checksum covers but the payload. */
function take(
  tcb: Tcb,
  seq: number,
  tsVal: number,
  payload: number,
  payloadLen: number,
  sum: number,
  now: Ms,
): Drop | null {
  const { recvRing } = tcb;
  if (tcb.timestamps && seqLt(tsVal, tcb.tsRecent)) return null;
  if (!recvRing.ensure(recvRing.length + payloadLen)) return null;
  const text = recvRing.storeSum(recvRing.length, payload, payloadLen);
  // Also of a ring that took storage for a segment which was none.
  noteUse(tcb, now);
  if (!isValid(sum + text)) return Drop.TcpBadChecksum;
  tcb.env.counters.segmentsIn++;
  tcb.lastHeardAt = now;
  if (tcb.timestamps && seqLeq(seq, tcb.lastAckSent)) {
    tcb.tsRecent = tsVal;
    tcb.tsRecentAt = now;
  }
  // A bare ACK may have come from ahead of this one.
  tcb.sndWl1 = seqMax(tcb.sndWl1, seq);
  tcb.sndWl2 = tcb.sndUna;
  takeText(tcb, payloadLen, now);
  return Drop.None;
}

function takeText(tcb: Tcb, len: number, now: Ms): void {
  const isAlone = !tcb.ackPending;
  tcb.ackPending = true;
  tcb.user.wantOutput();
  const end = (tcb.rcvNxt + len) | 0;
  noteInOrder(tcb);
  noteArrived(tcb, end, now);
  tcb.recvRing.extend(len);
  tcb.rcvNxt = end;
  noteTextIn(tcb, len, isAlone, now);
  tcb.user.onReadable();
}
