// RACK, RFC 8985: a segment is lost when one that was sent later has arrived, and it should have by then. "Should have"
// is its own time since it was sent against the round trip of the later one, and a reordering window that is zero
// where nothing was ever reordered and three segments have arrived behind the hole, and grows when D-SACK says that we
// were too quick. Times are whole milliseconds; which of two segments was sent later the log knows by their order.

import { type Ms, NEVER } from '../base/clock.ts';
import type { AckWork } from './recovery.ts';
import { Sent } from './sent-log.ts';
import { seqLt } from './seq.ts';
import type { Tcb } from './tcb.ts';

/** RFC 5681: as many segments behind a hole, and it is one. */
const DUP_THRESH = 3;
/** RFC 8985 6.2 step 4: recoveries without a D-SACK until the window is small again. */
const PERSIST = 16;
/** The smallest round trip is forgotten after so long: the way may have changed. */
const MIN_RTT_LIFE: Ms = 300_000;

/** Record `i` of the log has just been reported. RFC 8985 6.2, steps 1 to 3. */
export function noteDelivered(tcb: Tcb, i: number, work: AckWork): void {
  const { recovery } = tcb;
  const { log } = recovery;
  const sentAt = log.sentAt(i);
  const end = log.end(i);
  const elapsed = (work.now - sentAt) | 0;
  if (log.is(i, Sent.Resent)) {
    work.resent = true;
    // It may be the first sending that arrived.
    if (work.hasTsEcr && seqLt(work.tsEcr, (sentAt + tcb.tsOffset) | 0)) return;
    if (elapsed < recovery.minRtt) return;
  } else {
    if (seqLt(end, recovery.fack)) recovery.reordered = true;
    work.rtt = elapsed;
    noteMinRtt(tcb, elapsed, work.now);
  }
  const order = log.order(i);
  if (recovery.rackRtt >= 0 && ((order - recovery.rackOrder) | 0) <= 0) return;
  recovery.rackRtt = elapsed;
  recovery.rackOrder = order;
}

function noteMinRtt(tcb: Tcb, rtt: Ms, now: Ms): void {
  const { recovery } = tcb;
  if (recovery.minRtt >= 0 && rtt > recovery.minRtt && now - recovery.minRttAt < MIN_RTT_LIFE) return;
  recovery.minRtt = rtt;
  recovery.minRttAt = now;
}

/** A D-SACK has come: we were too quick. RFC 8985 6.2 step 4, once a round trip. */
export function widenReordering(tcb: Tcb): void {
  const { recovery } = tcb;
  if (recovery.dsackRound) return;
  recovery.dsackRound = true;
  recovery.dsackRoundEnd = tcb.sndNxt;
  recovery.reoWndMult = Math.min(recovery.reoWndMult + 1, 255);
  recovery.reoWndPersist = PERSIST;
}

/** sndUna has moved: is the round trip of the last D-SACK over? */
export function endDsackRound(tcb: Tcb): void {
  const { recovery } = tcb;
  if (recovery.dsackRound && !seqLt(tcb.sndUna, recovery.dsackRoundEnd)) recovery.dsackRound = false;
}

/**
 * Marks what is lost by now, and arms the reordering timer for what may be soon. RFC 8985 6.2 step 5; there the timer is
 * for the last that may be, here for the first, so that an ACK need not look at all of them.
 */
export function detectByTime(tcb: Tcb, now: Ms): boolean {
  const { recovery } = tcb;
  const { log, rackOrder, rackRtt } = recovery;
  tcb.reoAt = NEVER;
  if (rackRtt < 0) return false;
  const patience = patienceOf(tcb);
  let found = false;
  for (let i = log.oldestInFlight(); i >= 0; i = log.oldestInFlight()) {
    if (((log.order(i) - rackOrder) | 0) >= 0) break;
    const remaining = patience - ((now - log.sentAt(i)) | 0);
    if (remaining > 0) {
      tcb.reoAt = now + remaining;
      break;
    }
    log.markLost(i);
    found = true;
  }
  return found;
}

/**
 * How long after it was sent a segment is lost, when a later one has arrived. Deviates from RFC 8985 6.2 step 4 once D-SACK
 * has proved us too quick: steps are quarters of the smoothed round trip and counted from that. Where some frames take a
 * shorter way than others the smallest round trip is theirs, next to nothing, and says how late no other one may be.
 */
function patienceOf(tcb: Tcb): Ms {
  const { minRtt, rackRtt, reordered, reoWndMult, phase, log } = tcb.recovery;
  if (!reordered && (phase !== 'open' || log.sackedCount >= DUP_THRESH)) return rackRtt;
  const srtt = Math.ceil(tcb.rtt.srtt);
  const first = Math.ceil(Math.max(minRtt, 0) / 4);
  if (reoWndMult === 1) return rackRtt + Math.max(1, Math.min(first, srtt));
  const window = first + Math.ceil(((reoWndMult - 1) * srtt) / 4);
  return Math.max(rackRtt, srtt) + Math.max(1, Math.min(window, srtt));
}
