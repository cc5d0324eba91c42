// Pacing: what may be sent is not sent in one burst, where a burst would do harm.
//
// ACKs clock segments out, and as long as they come evenly, so do segments. Then they do not come for a moment, because a
// guest was not running, or we were not, and one ACK stands for a whole window: its answer is a burst of as much, and the
// first queue on the way with room for less loses the rest. So there is a budget of bytes that may be sent now. It fills
// at somewhat more than a window in a round trip, up to a small burst. What ACKs clock out finds it full enough; what
// would be a large burst is spread over a round trip. The first window, of a connection or after silence, is ten segments
// that RFC 6928 lets go at once; here eight do: as many as an emulated NE2000 keeps, and the queue of many a card. The one
// too many would be lost, and with it slow start.
//
// A guest that is near has no such queue, and bursts are what makes it fast: one system call for many frames. So this is
// for ways on which no round trip is shorter than two milliseconds. The budget is counted in microseconds, by the clock
// itself and not by the turn's time.

import { type Micros, type Ms, NEVER } from '../base/clock.ts';
import { FineTimer } from '../base/fine-timer.ts';
import { pipe } from './recovery.ts';
import { seqDiff } from './seq.ts';
import type { Tcb } from './tcb.ts';

/** No round trip of a way that is paced is shorter. */
const FAR: Ms = 2;
/** A small burst: so many segments, or what comes in so long. */
const BURST = 4;
const BURST_MICROS: Micros = 250;
/** Segments of a first window that go at once. */
const FIRST_BURST = 8;
/** How late an alarm is at most. */
const ALARM_MICROS: Micros = 1000;
/** How fast the budget fills, in windows in a round trip: twice where slow start doubles it, else enough to find its end. */
const SLOW_START_GAIN = 2;
const GAIN = 1.25;

/** The budget of one connection: state only. */
export class Pacer {
  /** Bytes that may be sent now; below zero after the last segment of a burst. */
  budget: number;
  filledAt: Micros;
  /** How late output() may come again for what is held back and lose nothing by it; 0: nothing is held back. */
  slack: Micros = 0;
  /** For what is due within a millisecond; later it is tcb.paceAt. */
  readonly timer: FineTimer;

  constructor(tcb: Tcb, now: Micros) {
    this.budget = firstBurst(tcb);
    this.filledAt = now;
    this.timer = new FineTimer(tcb.env.timers, () => tcb.user.wantOutput());
  }

  /** Something would have been sent if the budget had allowed it. */
  get isHolding(): boolean {
    return this.slack > 0;
  }
}

/** Before anything is sent: brings the budget up to date, where there is to be one. */
export function fillBudget(tcb: Tcb): void {
  if (!tcb.env.pacing) return;
  const { minRtt } = tcb.recovery;
  if (minRtt >= 0 ? minRtt < FAR : tcb.rtt.srtt < FAR) {
    if (tcb.pacer !== null) stopPacing(tcb);
    return;
  }
  const now = tcb.env.timers.clock.micros();
  tcb.pacer ??= new Pacer(tcb, now);
  const { pacer } = tcb;
  const rate = bytesPerMicro(tcb);
  // Who is woken late must not be the slower for it.
  const most = smallBurst(tcb, rate) + rate * pacer.slack;
  const filled = Math.min(pacer.budget + rate * (now - pacer.filledAt), most);
  // A first burst is more, and stays.
  if (filled > pacer.budget) pacer.budget = filled;
  pacer.filledAt = now;
  pacer.slack = 0;
  tcb.paceAt = NEVER;
}

/** After silence slow start begins anew. */
export function allowFirstBurst(tcb: Tcb): void {
  if (tcb.pacer !== null) tcb.pacer.budget = firstBurst(tcb);
}

/** Is the budget used up? */
export function isPaced(tcb: Tcb): boolean {
  return tcb.pacer !== null && tcb.pacer.budget <= 0;
}

/** The budget holds something back: output() is to come again when it allows a small burst, or all that may go. */
export function holdBack(tcb: Tcb): void {
  const pacer = tcb.pacer!;
  const rate = bytesPerMicro(tcb);
  const ready = seqDiff(tcb.sndEnd, tcb.sndNxt) + tcb.recovery.log.lostBytes;
  const burst = Math.min(smallBurst(tcb, rate), ready, tcb.congestion.cwnd - pipe(tcb));
  // The last segment of a burst may use more than there is.
  const wait = (Math.max(burst - tcb.sendMss + 1, 1) - pacer.budget) / rate;
  const at = Math.ceil(pacer.filledAt + wait);
  // The alarm is fine enough for waiting long, and leaves the CPU alone.
  const isLong = wait >= ALARM_MICROS;
  pacer.slack = isLong ? ALARM_MICROS : BURST_MICROS;
  tcb.paceAt = isLong ? Math.ceil(at / 1000) : NEVER;
  if (!isLong) pacer.timer.arm(at);
}

/** Nothing is held back any more. */
export function stopPacing(tcb: Tcb): void {
  tcb.paceAt = NEVER;
  tcb.pacer?.timer.disarm();
  tcb.pacer = null;
}

/** Less a byte: the budget that is not used up lets one more segment go. */
function firstBurst({ sendMss }: Tcb): number {
  return FIRST_BURST * sendMss - 1;
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
