// Tail loss probe, RFC 8985 7. Where the last segments of a flight are lost nothing behind them tells of it, and only the
// retransmission timer would. So two round trips after the last thing that happened one segment goes out, new if there
// is one, else the last once more, and its acknowledgment says what is missing.
//
// The probe may itself have repaired the loss, without a trace. Then the window has to go down all the same: an ACK of
// something behind the probe without a D-SACK before it means that only one of the two sendings arrived.

import { type Ms, NEVER } from '../base/clock.ts';
import type { AckWork } from './recovery.ts';
import type { Segment } from './segment.ts';
import { seqDiff, seqLt } from './seq.ts';
import type { Tcb } from './tcb.ts';

/** RFC 8985 7.2: how long a peer may wait with the ACK of a single segment. */
const WORST_DELAYED_ACK: Ms = 200;
/** RFC 8985 7.2 has none, and no variance. An emulated guest that is not running just now is not a loss. */
const MIN_TIMEOUT: Ms = 20;
const WITHOUT_SAMPLE: Ms = 1000;

/** After something new was sent or acknowledged: when to probe. RFC 8985 7.2. Call it with the retransmission timer set. */
export function armTailProbe(tcb: Tcb, now: Ms): void {
  const { recovery, rtt } = tcb;
  const { log, phase } = recovery;
  tcb.tlpAt = NEVER;
  if (!tcb.sackPermitted || recovery.probeOut || log.count === 0) return;
  if (phase !== 'open' || log.sackedCount > 0 || log.lostBytes > 0) return;
  let timeout =
    rtt.srtt > 0 ? Math.max(MIN_TIMEOUT, Math.ceil(Math.max(2 * rtt.srtt, rtt.usualMost))) : WITHOUT_SAMPLE;
  if (log.count === 1) timeout += WORST_DELAYED_ACK;
  // Where the other timer comes first it is the better one.
  if (now + timeout < tcb.rtoAt) tcb.tlpAt = now + timeout;
}

/** The probe is due. RFC 8985 7.3. */
export function probeTail(tcb: Tcb, now: Ms): void {
  tcb.tlpAt = NEVER;
  if (tcb.recovery.log.count === 0) return;
  tcb.tlpDue = true;
  tcb.rtoAt = now + tcb.rtt.rto;
  tcb.user.wantOutput();
}

/** The probe went out: `resent`, or new. */
export function noteProbe(tcb: Tcb, resent: boolean): void {
  const { recovery } = tcb;
  tcb.tlpDue = false;
  recovery.probeOut = true;
  recovery.probeEnd = tcb.sndNxt;
  recovery.probeFlight = seqDiff(tcb.sndNxt, tcb.sndUna);
  recovery.probeWasResent = resent;
  tcb.env.counters.tailLossProbes++;
}

/** An ACK has come, for whatever. RFC 8985 7.4.2. */
export function probeAcked(tcb: Tcb, { ack, len, options }: Segment, work: AckWork): void {
  const { recovery } = tcb;
  if (!recovery.probeOut || seqLt(ack, recovery.probeEnd)) return;
  if (recovery.probeWasResent && !work.dsack) {
    // The same again and nothing else: of a peer without D-SACK, that the probe was one too many.
    const isDuplicate = ack === work.priorUna && len === 0 && options.sackBlocks === 0;
    if (ack === recovery.probeEnd && !isDuplicate) return;
    if (!isDuplicate && recovery.phase === 'open') oneWasLost(tcb, work);
  }
  recovery.probeOut = false;
}

/** Of the segment and the probe that was the same one. What was out as the probe went is what was too much. */
function oneWasLost({ congestion, recovery }: Tcb, work: AckWork): void {
  recovery.mayUndo = false;
  congestion.onLoss(Math.min(recovery.probeFlight, congestion.cwnd), work.now);
  congestion.onRecovered(work.now);
}
