import type { Ms } from '../base/clock.ts';

/** What one acknowledgment says to congestion control. One object, reused: nothing of it may be kept. */
export interface AckSample {
  /** When it came, ms. */
  readonly now: Ms;
  /** Bytes that it is the first to say have arrived, by sndUna or by SACK. */
  readonly delivered: number;
  /** Bytes that were outstanding before it. */
  readonly flight: number;
  /** Round trip of the newest of these bytes that were sent once (Karn's rule, RFC 6298 3), ms; -1 where there are none. */
  readonly rtt: Ms;
  /** Smoothed round trip, ms; 0 where nothing was measured yet. */
  readonly srtt: number;
}

/**
 * How much may be in flight. One object per connection; all sizes in bytes. It decides how the window grows and how far
 * a loss brings it down; how it gets there during a recovery (RFC 9937), and what is sent again, is recovery's.
 */
export interface Congestion {
  /** Congestion window. During a recovery recovery.ts sets it; onRecovered() follows. */
  cwnd: number;
  /** In slow start below this. */
  readonly ssthresh: number;
  /** The send MSS is known or has changed. */
  setMss(mss: number): void;
  /** New bytes have arrived, and no recovery is under way. */
  onAck(ack: AckSample): void;
  /** A recovery begins, with `flight` bytes outstanding: ssthresh is where the window is to go. */
  onLoss(flight: number, now: Ms): void;
  /** The recovery is over. */
  onRecovered(now: Ms): void;
  /** The retransmission timer fired, with `flight` bytes outstanding; `again`: for the same segment as the last time. */
  onTimeout(flight: number, again: boolean, now: Ms): void;
  /** The last onLoss() or onTimeout() was for a loss that was none: everything as it was before. */
  undo(now: Ms): void;
  /** Nothing was sent for longer than an RTO. RFC 5681 4.1. */
  onIdle(now: Ms): void;
}
