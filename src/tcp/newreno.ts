// NewReno: RFC 5681 with the fast recovery of RFC 6582 and the initial window of RFC 6928.

import type { Congestion } from './congestion.ts';

export class NewReno implements Congestion {
  cwnd = 0;
  ssthresh = 2 ** 30;
  private mss = 536;

  setMss(mss: number): void {
    const started = this.cwnd !== 0;
    this.mss = mss;
    if (!started) this.cwnd = this.initialWindow();
  }

  onAck(acked: number, flight: number): void {
    // RFC 5681 3.1 grows what was used: a sender held back by its user or the peer's window learns nothing.
    if (flight + this.mss < this.cwnd) return;
    // RFC 3465 2.2 without its limit of two segments: one ACK of a guest with receive offload stands for forty.
    if (this.cwnd < this.ssthresh) this.cwnd += acked;
    else this.cwnd += Math.max(1, Math.floor((this.mss * Math.min(acked, this.cwnd)) / this.cwnd));
    this.cwnd = Math.min(this.cwnd, 2 ** 30);
  }

  onFastRetransmit(flight: number): void {
    this.ssthresh = this.half(flight);
    this.cwnd = this.ssthresh + 3 * this.mss;
  }

  onDuplicateAck(): void {
    this.cwnd += this.mss;
  }

  onPartialAck(acked: number): void {
    // RFC 6582 3.2 step 5: deflate by what was acknowledged, add back one segment.
    this.cwnd = Math.max(this.mss, this.cwnd - acked + (acked >= this.mss ? this.mss : 0));
  }

  onRecovered(flight: number): void {
    this.cwnd = Math.min(this.ssthresh, Math.max(flight, this.mss) + this.mss);
  }

  onTimeout(flight: number, again: boolean): void {
    // RFC 5681 3.1: ssthresh only with the first timeout for a segment.
    if (!again) this.ssthresh = this.half(flight);
    this.cwnd = this.mss;
  }

  onIdle(): void {
    // RFC 5681 4.1.
    this.cwnd = Math.min(this.cwnd, this.initialWindow());
  }

  private half(flight: number): number {
    return Math.max(Math.floor(flight / 2), 2 * this.mss);
  }

  /** RFC 6928 2. */
  private initialWindow(): number {
    return Math.min(10 * this.mss, Math.max(2 * this.mss, 14_600));
  }
}
