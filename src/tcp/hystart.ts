// HyStart++, RFC 9406: leaving the first slow start before it loses.
//
// Slow start doubles the window until something is lost; by then a whole window is on its way too many. HyStart++ watches
// the round trip instead: when the least of one round is clearly longer than the least of the round before, a queue is
// filling. It then grows at a quarter of the pace (Conservative Slow Start) for five rounds. Round trips that become
// shorter again were jitter: back to slow start. Else slow start is over.
//
// A round is over when what was outstanding as it began has arrived, counted in bytes, not in sequence numbers. Round
// trips are whole milliseconds: no threshold is below four of them, so a guest at 0 to 2 ms never looks like a queue.

import type { Ms } from '../base/clock.ts';
import type { AckSample } from './congestion.ts';

// RFC 9406 4.3.
const MIN_RTT_THRESH: Ms = 4;
const MAX_RTT_THRESH: Ms = 16;
const MIN_RTT_DIVISOR = 8;
const N_RTT_SAMPLE = 8;
const CSS_GROWTH_DIVISOR = 4;
const CSS_ROUNDS = 5;

/** No round trip is known. */
const UNKNOWN: Ms = -1;

/** State of the first slow start of one connection. */
export class HyStart {
  /** Bytes of this round that have not arrived; 0 between rounds. */
  private roundLeft = 0;
  private rttSampleCount = 0;
  private currentRoundMinRtt: Ms = UNKNOWN;
  private lastRoundMinRtt: Ms = UNKNOWN;
  /** The round trip that began Conservative Slow Start; UNKNOWN outside. */
  private cssBaselineMinRtt: Ms = UNKNOWN;
  private cssRounds = 0;

  /**
   * Bytes by which the window grows for `delivered` bytes. RFC 9406 4.2. Deviates from 4.3, which recommends at most eight
   * segments for an ACK where nothing paces: one ACK of a guest with receive offload stands for forty, and slow start
   * over a way of 100 ms would take twenty times as long.
   */
  growth(delivered: number): number {
    return this.cssBaselineMinRtt === UNKNOWN ? delivered : Math.floor(delivered / CSS_GROWTH_DIVISOR);
  }

  /** Takes an ACK of slow start; true when slow start is over: ssthresh is to be the window as it is. */
  onAck({ delivered, flight, rtt }: AckSample): boolean {
    // SND.NXT as the round begins: all that is out. The first ACK of a round begins it, so that a sender who had fallen
    // silent begins with what it sent after.
    if (this.roundLeft === 0) this.roundLeft = Math.max(flight, delivered);
    if (rtt !== UNKNOWN) this.takeSample(rtt);
    this.roundLeft = Math.max(0, this.roundLeft - delivered);
    return this.roundLeft === 0 && this.endRound();
  }

  /** The sender was silent: what was measured before says nothing of the rounds to come. */
  restart(): void {
    this.roundLeft = 0;
    this.rttSampleCount = 0;
    this.currentRoundMinRtt = UNKNOWN;
    this.lastRoundMinRtt = UNKNOWN;
    this.cssBaselineMinRtt = UNKNOWN;
  }

  /** RFC 9406 4.2: from the eighth sample of a round on each may change the phase. */
  private takeSample(rtt: Ms): void {
    const current = this.currentRoundMinRtt === UNKNOWN ? rtt : Math.min(this.currentRoundMinRtt, rtt);
    this.currentRoundMinRtt = current;
    if (++this.rttSampleCount < N_RTT_SAMPLE) return;
    if (this.cssBaselineMinRtt !== UNKNOWN) {
      if (current < this.cssBaselineMinRtt) this.cssBaselineMinRtt = UNKNOWN;
    } else if (this.lastRoundMinRtt !== UNKNOWN) {
      const eighth = this.lastRoundMinRtt / MIN_RTT_DIVISOR;
      const threshold = Math.max(MIN_RTT_THRESH, Math.min(eighth, MAX_RTT_THRESH));
      if (current < this.lastRoundMinRtt + threshold) return;
      this.cssBaselineMinRtt = current;
      this.cssRounds = 0;
    }
  }

  /** True: the last round of Conservative Slow Start, of which the one it began in is the first. */
  private endRound(): boolean {
    this.lastRoundMinRtt = this.currentRoundMinRtt;
    this.currentRoundMinRtt = UNKNOWN;
    this.rttSampleCount = 0;
    return this.cssBaselineMinRtt !== UNKNOWN && ++this.cssRounds >= CSS_ROUNDS;
  }
}
