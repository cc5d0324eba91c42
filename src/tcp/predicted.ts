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
  const { recvRing } = tcb;
  const { payload, payloadLen } = segment;
  if (!isPredicted(tcb, segment) || !recvRing.ensure(recvRing.length + payloadLen)) return null;
  const header = tcb.env.arena.memory.sum(off, payload - off);
  const text = recvRing.storeSum(recvRing.length, payload, payloadLen);
  // Also of a ring that took storage for a segment which was none.
  noteUse(tcb, now);
  if (!isValid(pseudo + len + header + text)) return Drop.TcpBadChecksum;
  tcb.env.counters.segmentsIn++;
  tcb.lastHeardAt = now;
  if (tcb.timestamps && seqLeq(segment.seq, tcb.lastAckSent)) {
    tcb.tsRecent = segment.options.tsVal;
    tcb.tsRecentAt = now;
  }
  // A bare ACK may have come from ahead of this one.
  tcb.sndWl1 = seqMax(tcb.sndWl1, segment.seq);
  tcb.sndWl2 = segment.ack;
  takeText(tcb, payloadLen, now);
  return Drop.None;
}

function isPredicted(tcb: Tcb, segment: Segment): boolean {
  const { payloadLen, options } = segment;
  return (
    tcb.state === 'ESTABLISHED' &&
    segment.seq === tcb.rcvNxt &&
    segment.ack === tcb.sndUna &&
    (segment.flags & ~Flag.Psh) === Flag.Ack &&
    payloadLen > 0 &&
    payloadLen <= rcvWindow(tcb) &&
    // Nothing of ours is out, nothing of the peer's is missing.
    tcb.sndNxt === tcb.sndUna &&
    tcb.gaps.count === 0 &&
    !tcb.peerFinSeen &&
    segment.wnd << tcb.sndWindShift === tcb.sndWnd &&
    options.hasTimestamps === tcb.timestamps &&
    (!tcb.timestamps || !seqLt(options.tsVal, tcb.tsRecent)) &&
    options.sackBlocks === 0
  );
}

/**
 * A train has been taken behind a segment that takePredicted() took, in the same turn: `segments` alike, `bytes` of text that
 * lie behind the receive ring's queue, of which the last one's `last`. All else is as the first has left it: nothing of
 * ours out, nothing missing, nothing to be timed anew, the user told.
 */
export function noteTrain(tcb: Tcb, segments: number, bytes: number, last: number): void {
  tcb.recvRing.extend(bytes);
  tcb.rcvNxt = (tcb.rcvNxt + bytes) | 0;
  // RFC 9293 3.10.7.4: as above, never back.
  tcb.sndWl1 = seqMax(tcb.sndWl1, (tcb.rcvNxt - last) | 0);
  tcb.ackPending = true;
  tcb.textsIn += segments;
  tcb.env.counters.segmentsIn += segments;
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
