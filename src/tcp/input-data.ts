// Segment text and FIN: RFC 9293 3.10.7.4 seventh and eighth.

import type { Ms } from '../base/clock.ts';
import { Drop, Loss } from '../base/drop.ts';
import { Flag } from '../wire/tcp.ts';
import { noteTextIn } from './delayed-ack.ts';
import { enterTimeWait } from './input-ack.ts';
import { noteDuplicate, noteInOrder, noteOutOfOrder } from './sack-blocks.ts';
import type { Segment } from './segment.ts';
import { seqDiff, seqLeq, seqLt, seqMin } from './seq.ts';
import { maySendToUs } from './state.ts';
import { setState, type Tcb } from './tcb.ts';
import { armKeepalive, noteUse } from './timers.ts';
import { noteArrived } from './window.ts';

/** Puts the payload into the receive ring, at its place. Bytes that came before, or lie beyond the window, are cut. */
export function processText(tcb: Tcb, segment: Segment, now: Ms): Drop {
  const { payloadLen } = segment;
  if (payloadLen === 0) return Drop.None;
  const wasPending = tcb.ackPending;
  tcb.ackPending = true;
  tcb.user.wantOutput();
  // Data behind the peer's own FIN, or when it has said that no more comes.
  if (!maySendToUs(tcb.state)) return Drop.TcpNotAcceptable;
  const skip = Math.max(0, seqDiff(tcb.rcvNxt, segment.seq));
  const from = (segment.seq + skip) | 0;
  const at = seqDiff(from, tcb.rcvNxt);
  const window = Math.min(seqDiff(tcb.rcvAdv, tcb.rcvNxt), tcb.recvRing.room);
  // What a peer says behind its own FIN does not count.
  const end = tcb.peerFinSeen ? seqDiff(tcb.peerFinSeq, tcb.rcvNxt) : window;
  const len = Math.min(payloadLen - skip, window - at, end - at);
  if (len <= 0) return Drop.TcpNotAcceptable;
  if (!tcb.recvRing.ensure(tcb.recvRing.length + at + len)) {
    // Not acknowledged, so it comes again. The promise of the window was larger than the arena has room for.
    tcb.ackPending = wasPending;
    tcb.env.drops.lose(Loss.ArenaFull);
    return Drop.TcpArenaFull;
  }
  if (skip > 0) noteDuplicate(tcb, segment.seq, from);
  return at === 0
    ? takeInOrder(tcb, segment.payload + skip, len, !wasPending && len === payloadLen, now)
    : takeEarly(tcb, from, segment.payload + skip, at, len);
}

function takeInOrder(tcb: Tcb, src: number, len: number, isAlone: boolean, now: Ms): Drop {
  const { gaps } = tcb;
  const isPlain = isAlone && gaps.count === 0 && !tcb.peerFinSeen;
  tcb.recvRing.store(tcb.recvRing.length, src, len);
  let end = (tcb.rcvNxt + len) | 0;
  if (gaps.count > 0) {
    noteDuplicate(tcb, gaps.left(0), seqMin(gaps.right(0), end));
    end = gaps.joinFrom(end);
  }
  noteInOrder(tcb);
  noteArrived(tcb, end, now);
  const grown = seqDiff(end, tcb.rcvNxt);
  tcb.recvRing.extend(grown);
  tcb.rcvNxt = end;
  noteTextIn(tcb, grown, isPlain, now);
  noteUse(tcb, now);
  tcb.user.onReadable();
  return Drop.None;
}

/** RFC 9293 3.10.7.4 (SHLD-31): what is ahead of its turn is kept, and acknowledged as a duplicate. */
function takeEarly(tcb: Tcb, from: number, src: number, at: number, len: number): Drop {
  noteOutOfOrder(tcb);
  if (!tcb.gaps.add(from, (from + len) | 0)) return Drop.TcpNotAcceptable;
  noteDuplicate(tcb, tcb.gaps.duplicateFrom, tcb.gaps.duplicateTo);
  tcb.recvRing.store(tcb.recvRing.length + at, src, len);
  tcb.env.counters.outOfOrder++;
  return Drop.None;
}

/** A FIN counts when everything before it has come; one that is ahead is remembered. */
export function processFin(tcb: Tcb, segment: Segment, now: Ms): void {
  if (segment.has(Flag.Fin) && !tcb.peerFinSeen && maySendToUs(tcb.state)) {
    const at = (segment.seq + segment.payloadLen) | 0;
    tcb.ackPending = true;
    tcb.user.wantOutput();
    // Beyond the window: not now. What lies behind rcvNxt was a FIN of a past that we never saw. One in the midst of
    // what has come is a lie: bytes do not follow a FIN.
    if (seqLt(at, tcb.rcvNxt) || !seqLeq(at, tcb.rcvAdv) || tcb.gaps.reachBeyond(at)) return;
    // Alone and ahead of its turn, it is out of order like any other segment.
    if (segment.payloadLen === 0 && at !== tcb.rcvNxt) noteOutOfOrder(tcb);
    tcb.peerFinSeen = true;
    tcb.peerFinSeq = at;
  }
  if (!tcb.peerFinSeen || tcb.rcvNxt !== tcb.peerFinSeq || !maySendToUs(tcb.state)) return;
  tcb.rcvNxt = (tcb.rcvNxt + 1) | 0;
  if (seqLt(tcb.rcvAdv, tcb.rcvNxt)) tcb.rcvAdv = tcb.rcvNxt;
  setState(tcb, 'rcv-fin');
  if (tcb.state === 'TIME-WAIT') enterTimeWait(tcb, now);
  else armKeepalive(tcb, now);
  tcb.user.onPeerFin();
}
