// NewReno: RFC 5681 with the initial window of RFC 6928.

import type { Ms } from '../base/clock.ts';
import type { AckSample, Congestion } from './congestion.ts';

export class NewReno implements Congestion {
  cwnd = 0;
  ssthresh = 2 ** 30;
  private mss = 536;
  /** When the window last held the sender back. */
  private limitedAt: Ms = -1;
  /** Before the last loss. */
  private priorCwnd = 0;
  private priorSsthresh = 0;

  setMss(mss: number): void {
    const started = this.cwnd !== 0;
    this.mss = mss;
    if (!started) this.cwnd = initialWindow(mss);
  }

  onAck({ now, delivered, flight }: AckSample): void {
    // RFC 5681 3.1 grows what was used: a sender held back by its user or the peer's window learns nothing. Nothing is sent
    // between two ACKs of one turn: if the window was full at the first, it was at all of them.
    if (flight + this.mss >= this.cwnd) this.limitedAt = now;
    else if (this.limitedAt !== now) return;
    // RFC 3465 2.2 without its limit of two segments: one ACK of a guest with receive offload stands for forty.
    if (this.cwnd < this.ssthresh) this.cwnd = Math.min(this.cwnd + delivered, this.ssthresh);
    else this.cwnd += Math.max(1, Math.floor((this.mss * Math.min(delivered, this.cwnd)) / this.cwnd));
    this.cwnd = Math.min(this.cwnd, 2 ** 30);
  }

  onLoss(flight: number): void {
    this.remember();
    this.ssthresh = this.half(flight);
  }

  onRecovered(): void {
    this.cwnd = Math.max(this.ssthresh, this.mss);
  }

  onTimeout(flight: number, again: boolean): void {
    // RFC 5681 3.1: ssthresh only with the first timeout for a segment.
    if (!again) {
      this.remember();
      this.ssthresh = this.half(flight);
    }
    this.cwnd = this.mss;
  }

  undo(): void {
    this.cwnd = Math.max(this.cwnd, this.priorCwnd);
    this.ssthresh = this.priorSsthresh;
  }

  onIdle(): void {
    // RFC 5681 4.1.
    this.cwnd = Math.min(this.cwnd, initialWindow(this.mss));
  }

  private remember(): void {
    this.priorCwnd = this.cwnd;
    this.priorSsthresh = this.ssthresh;
  }

  private half(flight: number): number {
    return Math.max(Math.floor(flight / 2), 2 * this.mss);
  }
}

/** RFC 6928 2. */
export function initialWindow(mss: number): number {
  return Math.min(10 * mss, Math.max(2 * mss, 14_600));
}
