/**
 * What a link that is bad on purpose did to the frames of one direction. Frames that came, and `duplicated`, are what
 * the other counters without `reordered` and `corrupted` add up to.
 */
export interface FaultCounts {
  /** Handed on, second copies included. */
  readonly passed: number;
  readonly lost: number;
  /** Second copies that were made. */
  readonly duplicated: number;
  /** Picked to overtake, or to be overtaken. */
  readonly reordered: number;
  /** Passed with one bit flipped. */
  readonly corrupted: number;
  /** Dropped because the queue in front of the rate, or the memory for frames on their way, was full. */
  readonly queueFull: number;
  /** On their way when the cable was pulled out. */
  readonly cutOff: number;
  /** On their way now. */
  readonly waiting: number;
}

export interface FaultStats {
  readonly toGuest: FaultCounts;
  readonly fromGuest: FaultCounts;
}
