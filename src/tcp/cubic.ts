// CUBIC, RFC 9438.
//
// After a loss the window grows along a cubic function of the time since then: steeply at first, flat where the loss had
// been (wMax, reached after k seconds), and steeply beyond it. Unlike NewReno's, this growth does not depend on the round
// trip, and a long way fills again in seconds. Where NewReno would be faster, on a short way, CUBIC grows as it does
// (wEst, the Reno-friendly region).
//
// The RFC counts windows in segments and time in seconds. Here windows are bytes, the clock is whole milliseconds; C is
// multiplied by the MSS where it is used. The window is a whole number; what is left over waits in `fraction`.
//
// The curve is drawn from `epochAt`, when congestion avoidance began: with the first ACK after a recovery or slow start.
// Time in which the window held nobody back is no time of the curve (RFC 9438 4.2, 5.8): a connection that asks for little
// for a minute would else be given a window that nothing has tried. Then `epochAt` moves on with the clock.

import type { Ms } from '../base/clock.ts';
import type { AckSample, Congestion } from './congestion.ts';
import { HyStart } from './hystart.ts';
import { initialWindow } from './newreno.ts';

/** RFC 9438 5.1, segments per cubic second. */
const C = 0.4;
/** RFC 9438 4.6. */
const BETA = 0.7;
/** RFC 9438 4.3: as much growth as goes with BETA where NewReno's one segment goes with a half. */
const ALPHA = (3 * (1 - BETA)) / (1 + BETA);
/** Widest window of RFC 7323. */
const MAX_WINDOW = 2 ** 30;
/** No congestion avoidance is under way. */
const NO_EPOCH: Ms = -1;

export class Cubic implements Congestion {
  cwnd = 0;
  ssthresh = MAX_WINDOW;
  private mss = 536;
  private readonly hystart = new HyStart();
  /** When the window last held the sender back. */
  private limitedAt: Ms = -1;
  private lastAckAt: Ms = 0;
  /** That ACK left nothing outstanding. */
  private drained = false;
  /** Part of a byte that cwnd is short of. */
  private fraction = 0;

  // RFC 9438 4.1.2; windows in bytes, k in seconds.
  private wMax = 0;
  private k = 0;
  private epochAt: Ms = NO_EPOCH;
  private wEst = 0;
  private cwndPrior = 0;

  // RFC 9438 4.9: as it was before the last loss; undoCwnd is 0 before the first.
  private undoCwnd = 0;
  private undoSsthresh = 0;
  private undoWMax = 0;
  private undoK = 0;
  private undoEpochAt: Ms = NO_EPOCH;
  private undoWEst = 0;
  private undoCwndPrior = 0;

  setMss(mss: number): void {
    const started = this.cwnd !== 0;
    this.mss = mss;
    if (!started) this.cwnd = initialWindow(mss);
  }

  onAck(ack: AckSample): void {
    const { now, flight } = ack;
    this.leaveOutIdleTime(ack);
    let left = ack.delivered;
    // Nothing is sent between two ACKs of one turn: if the window was full at the first, it was at all of them.
    if (flight + this.mss >= this.cwnd) this.limitedAt = now;
    const limited = this.limitedAt === now;
    if (this.cwnd < this.ssthresh) left = this.slowStart(ack, limited);
    if (limited && left > 0) this.avoid(left, now, ack.srtt);
    else if (this.epochAt !== NO_EPOCH && !limited) this.epochAt += now - this.lastAckAt;
    this.lastAckAt = now;
    this.drained = ack.delivered >= flight;
  }

  onLoss(flight: number): void {
    this.remember();
    // RFC 9438 4.7: who loses below where it lost before gives room to a newcomer.
    this.wMax = this.cwnd < this.wMax ? (this.cwnd * (1 + BETA)) / 2 : this.cwnd;
    this.reduce(flight);
  }

  onRecovered(): void {
    this.cwnd = Math.max(this.ssthresh, this.mss);
  }

  onTimeout(flight: number, again: boolean): void {
    // RFC 5681 3.1: ssthresh only with the first timeout for a segment.
    if (!again) {
      this.remember();
      this.reduce(flight);
    }
    // RFC 9438 4.8: the next curve begins flat, at the window that slow start has come to.
    this.wMax = 0;
    this.epochAt = NO_EPOCH;
    this.cwnd = this.mss;
  }

  /** RFC 9438 4.9. */
  undo(): void {
    if (this.undoCwnd === 0) return;
    this.cwnd = Math.max(this.cwnd, this.undoCwnd);
    this.ssthresh = this.undoSsthresh;
    this.wMax = this.undoWMax;
    this.k = this.undoK;
    this.epochAt = this.undoEpochAt;
    this.wEst = this.undoWEst;
    this.cwndPrior = this.undoCwndPrior;
  }

  onIdle(): void {
    // RFC 5681 4.1. What was lost before is still known: slow start goes as far as ssthresh, a new curve up to wMax.
    this.cwnd = Math.min(this.cwnd, initialWindow(this.mss));
    this.epochAt = NO_EPOCH;
    this.hystart.restart();
  }

  /**
   * RFC 9438 4.2: t does not include time in which the window was not grown for want of data. Between an ACK that left
   * nothing outstanding and the next one the sender was silent for all but a round trip.
   */
  private leaveOutIdleTime({ now, srtt }: AckSample): void {
    if (this.epochAt === NO_EPOCH || !this.drained) return;
    const silent = Math.floor(now - this.lastAckAt - srtt);
    if (silent <= 0) return;
    this.epochAt += silent;
    this.lastAckAt += silent;
  }

  /** How much of what was delivered is left for congestion avoidance. */
  private slowStart(ack: AckSample, limited: boolean): number {
    const { delivered } = ack;
    // RFC 9406 4.3: only until ssthresh is known.
    if (this.ssthresh === MAX_WINDOW) {
      if (limited) this.cwnd = Math.min(this.cwnd + this.hystart.growth(delivered), MAX_WINDOW);
      // RFC 9438 4.10: then W_max is not known, cwnd_prior is cwnd, and the curve begins flat.
      if (this.hystart.onAck(ack)) {
        this.ssthresh = this.cwnd;
        this.cwndPrior = this.cwnd;
      }
      return 0;
    }
    // RFC 3465 2.2 without its limit of two segments: one ACK of a guest with receive offload stands for forty.
    const grown = limited ? Math.min(delivered, this.ssthresh - this.cwnd) : 0;
    this.cwnd += grown;
    return delivered - grown;
  }

  /** RFC 9438 4.2 to 4.5: `delivered` bytes have arrived in congestion avoidance. */
  private avoid(delivered: number, now: Ms, srtt: number): void {
    if (this.epochAt === NO_EPOCH) this.beginEpoch(now);
    const { cwnd, mss } = this;
    const share = Math.min(delivered, cwnd) / cwnd;
    // RFC 9438 4.3: back where the loss was, as fast as NewReno.
    this.wEst += (this.wEst < this.cwndPrior ? ALPHA : 1) * mss * share;
    const t = (now - this.epochAt) / 1000;
    if (this.wCubic(t) < this.wEst) {
      this.setWindow(Math.max(cwnd + this.fraction, this.wEst));
      return;
    }
    // RFC 9438 4.2: where the curve will be in a round trip, and not more than half as much again.
    const target = Math.min(this.wCubic(t + srtt / 1000), 1.5 * cwnd);
    if (target > cwnd) this.setWindow(cwnd + this.fraction + (target - cwnd) * share);
  }

  private beginEpoch(now: Ms): void {
    this.epochAt = now;
    this.wEst = this.cwnd;
    // RFC 9438 4.8, 4.10: no W_max, or one that is behind us: K is 0.
    this.wMax = Math.max(this.wMax, this.cwnd);
    this.k = Math.cbrt((this.wMax - this.cwnd) / (C * this.mss));
  }

  /** RFC 9438 figure 1, bytes. */
  private wCubic(t: number): number {
    const d = t - this.k;
    return C * this.mss * d * d * d + this.wMax;
  }

  private setWindow(window: number): void {
    this.cwnd = Math.min(Math.floor(window), MAX_WINDOW);
    this.fraction = this.cwnd === MAX_WINDOW ? 0 : window - this.cwnd;
  }

  /** RFC 9438 4.6. */
  private reduce(flight: number): void {
    this.cwndPrior = this.cwnd;
    this.ssthresh = Math.max(Math.floor(flight * BETA), 2 * this.mss);
    this.epochAt = NO_EPOCH;
    this.fraction = 0;
  }

  private remember(): void {
    this.undoCwnd = this.cwnd;
    this.undoSsthresh = this.ssthresh;
    this.undoWMax = this.wMax;
    this.undoK = this.k;
    this.undoEpochAt = this.epochAt;
    this.undoWEst = this.wEst;
    this.undoCwndPrior = this.cwndPrior;
  }
}
