/** How much may be in flight. One object per connection; all sizes in bytes. */
export interface Congestion {
  /** Congestion window. */
  readonly cwnd: number;
  /** In slow start below this. */
  readonly ssthresh: number;
  /** The send MSS is known or has changed. */
  setMss(mss: number): void;
  /** `acked` new bytes were acknowledged outside of recovery, `flight` were outstanding before. */
  onAck(acked: number, flight: number): void;
  /** Three duplicate ACKs: fast retransmit has begun. */
  onFastRetransmit(flight: number): void;
  /** One more duplicate ACK while in recovery. */
  onDuplicateAck(): void;
  /** A partial ACK in recovery took `acked` bytes. */
  onPartialAck(acked: number): void;
  /** The recovery is over with `flight` bytes outstanding. */
  onRecovered(flight: number): void;
  /** The retransmission timer fired; `again`: for the same segment as the last time. */
  onTimeout(flight: number, again: boolean): void;
  /** Nothing was sent for longer than an RTO. */
  onIdle(): void;
}
