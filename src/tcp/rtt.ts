// The retransmission timeout, RFC 6298. Whole milliseconds; SRTT is kept times 8 and RTTVAR times 4, as in Jacobson's
// paper, so that small round trips are not rounded away.

import type { Ms } from '../base/clock.ts';

/** RFC 6298 2.1. */
const INITIAL_RTO: Ms = 1000;
/** RFC 6298 5.7: after a SYN had to be sent again. */
const RTO_AFTER_LOST_SYN: Ms = 3000;
/** Deviates from RFC 6298 2.4, which says one second: the guest is one hop away. */
const MIN_RTO: Ms = 200;
/**
 * The variance term is no less; RFC 6298 2.3 has the tick of the clock there, which is next to nothing. After many round
 * trips alike little else would be left of it, and the first that is somewhat longer, since an emulated guest was not
 * running, would be a timeout. Linux has 200 ms here: on long ways bursts of loss then take a quarter longer.
 */
const MIN_VARIANCE: Ms = 50;
/** Silence so much longer than a round trip is a pause, whatever the RTO. */
const PAUSE: Ms = 200;
/** RFC 6298 2.5: at least 60 s. */
const MAX_RTO: Ms = 60_000;

export class Rtt {
  /** Smoothed round trip in ms, times 8; 0 before the first sample. */
  private srtt8 = 0;
  private rttvar4 = 0;
  /** Without backoff. */
  private base: Ms = INITIAL_RTO;
  private shift = 0;

  /** Milliseconds until the oldest segment is sent again. */
  get rto(): Ms {
    return Math.min(this.base * 2 ** this.shift, MAX_RTO);
  }

  /**
   * After so much silence nothing is known of the way any more, ms. RFC 5681 4.1 says an RTO, and means one of a second: ours
   * may be a round trip and little more, and whoever asks again with a thought between would begin anew each time.
   */
  get pause(): Ms {
    return Math.max(this.rto, Math.ceil(this.srtt8 / 8) + PAUSE);
  }

  /** Smoothed round trip, ms; 0 when nothing was measured. */
  get srtt(): number {
    return this.srtt8 / 8;
  }

  /** SRTT and two RTTVAR, ms: twice SRTT after the first sample, more where round trips differ. */
  get usualMost(): number {
    return this.srtt8 / 8 + this.rttvar4 / 2;
  }

  /** A measured round trip. RFC 6298 2.2, 2.3; by Karn's rule never of a segment that was sent twice. */
  sample(ms: Ms): void {
    if (this.srtt8 === 0) {
      this.srtt8 = Math.max(ms, 1) * 8;
      this.rttvar4 = Math.max(ms, 1) * 2;
    } else {
      const error = ms - this.srtt8 / 8;
      this.rttvar4 += Math.abs(error) - this.rttvar4 / 4;
      this.srtt8 = Math.max(1, this.srtt8 + error);
    }
    this.base = Math.max(MIN_RTO, Math.ceil(this.srtt8 / 8 + Math.max(MIN_VARIANCE, this.rttvar4)));
    this.shift = 0;
  }

  /** The timer has fired: twice as long until there is a sample. RFC 6298 5.5. */
  backOff(): void {
    if (this.rto < MAX_RTO) this.shift++;
  }

  /** The handshake is over and its SYN had been sent twice. RFC 6298 5.7. */
  afterLostSyn(): void {
    if (this.srtt8 === 0) this.base = RTO_AFTER_LOST_SYN;
    this.shift = 0;
  }
}
