// Pacing: what may be sent is not sent in one burst, where a burst would do harm.
//
// ACKs clock segments out, and as long as they come evenly, so do segments. Then they do not come for a moment, because a
// guest was not running, or we were not, and one ACK stands for a whole window: its answer is a burst of as much, and the
// first queue on the way with room for less loses the rest. So there is a budget of bytes that may be sent now. It fills
// at somewhat more than a window in a round trip, up to a small burst. What ACKs clock out finds it full enough; what
// would be a large burst is spread over a round trip. Only the first window, of a connection or after silence, goes at
// once (RFC 6928).
//
// A guest that is near has no such queue, and bursts are what makes it fast: one system call for many frames. So this is
// for ways on which no round trip is shorter than two milliseconds. The budget is counted in microseconds, by the clock
// itself and not by the turn's time.

import { type Micros, type Ms, NEVER } from '../base/clock.ts';
import { FineTimer } from '../base/fine-timer.ts';
import { seqDiff } from './seq.ts';
import type { Tcb } from './tcb.ts';

/** No round trip of a way that is paced is shorter. */
const FAR: Ms = 2;
/** A small burst: so many segments, or what comes in so long. */
const BURST = 4;
const BURST_MICROS: Micros = 250;
/** How fast the budget fills, in windows in a round trip: twice where slow start doubles it, else enough to find its end. */
const SLOW_START_GAIN = 2;
const GAIN = 1.25;

/** The budget of one connection: state only. */
export class Pacer {
  /** Bytes that may be sent now; below zero after the last segment of a burst. */
  budget: number;
  filledAt: Micros;
  /** Something would have been sent if the budget had allowed it. */
  isHolding = false;
  /** For what is due within a millisecond; later it is tcb.paceAt. */
  readonly timer: FineTimer;

  constructor(tcb: Tcb, now: Micros) {
    this.budget = tcb.congestion.cwnd;
    this.filledAt = now;
    this.timer = new FineTimer(tcb.env.timers, () => tcb.user.wantOutput());
  }
}

/** Before anything is sent: brings the budget up to date, where there is to be one. */
export function fillBudget(tcb: Tcb): void {
  const { minRtt } = tcb.recovery;
  if (minRtt >= 0 ? minRtt < FAR : tcb.rtt.srtt < FAR) {
    if (tcb.pacer !== null) stopPacing(tcb);
    return;
  }
  const now = tcb.env.timers.clock.micros();
  tcb.pacer ??= new Pacer(tcb, now);
  const { pacer } = tcb;
  const rate = bytesPerMicro(tcb);
  const filled = Math.min(pacer.budget + rate * (now - pacer.filledAt), smallBurst(tcb, rate));
  // A first window is more, and stays.
  if (filled > pacer.budget) pacer.budget = filled;
  pacer.filledAt = now;
  pacer.isHolding = false;
  tcb.paceAt = NEVER;
}

/** After silence the window that slow start begins with goes at once. */
export function allowFirstWindow(tcb: Tcb): void {
  if (tcb.pacer !== null) tcb.pacer.budget = tcb.congestion.cwnd;
}

/** Is the budget used up? */
export function isPaced(tcb: Tcb): boolean {
  return tcb.pacer !== null && tcb.pacer.budget <= 0;
}

/** The budget holds something back: output() is to come again when it allows a small burst. */
export function holdBack(tcb: Tcb): void {
  const pacer = tcb.pacer!;
  const rate = bytesPerMicro(tcb);
  const wait = (smallBurst(tcb, rate) - pacer.budget) / rate;
  const at = Math.ceil(pacer.filledAt + wait);
  pacer.isHolding = true;
  // The alarm is fine enough for waiting long, and leaves the CPU alone.
  const isLong = wait >= 1000;
  tcb.paceAt = isLong ? Math.ceil(at / 1000) : NEVER;
  if (!isLong) pacer.timer.arm(at);
}

/** Nothing is held back any more. */
export function stopPacing(tcb: Tcb): void {
  tcb.paceAt = NEVER;
  tcb.pacer?.timer.disarm();
  tcb.pacer = null;
}

function smallBurst(tcb: Tcb, rate: number): number {
  return Math.max(BURST * tcb.sendMss, rate * BURST_MICROS);
}

/** By what is out where that is more: a recovery that has lost much has a narrow window, and does not begin at nothing. */
function bytesPerMicro({ congestion, rtt, sndNxt, sndUna }: Tcb): number {
  const { cwnd, ssthresh } = congestion;
  const gain = cwnd < ssthresh ? SLOW_START_GAIN : GAIN;
  return (gain * Math.max(cwnd, seqDiff(sndNxt, sndUna))) / (1000 * Math.max(rtt.srtt, FAR));
}
