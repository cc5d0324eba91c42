/**
 * What a link that is bad on purpose did to the frames of one direction. Frames that came, and `duplicated`, are what
 * the other counters without `reordered` and `corrupted` add up to.
 */
export interface FaultCounts {
  /** Handed on, second copies included. */
  readonly passed: number;
  readonly lost: number;
  /** Second copies, those included that the queue or the memory had no room for. */
  readonly duplicated: number;
  /**
   * Second copies included: with a delay, those that were put in front of what waited; without one, those that another
   * was put in front of. What was picked and had nothing to overtake, or nothing that came behind it in time, is not
   * counted. Counted when it is put there, so one that is cut off on its way is among them.
   */
  readonly reordered: number;
  /** One bit was flipped, as they came: those that are cut off on their way are among them. */
  readonly corrupted: number;
  /** Dropped because the queue in front of the rate was full. */
  readonly queueFull: number;
  /** Dropped because the memory for frames that wait was full, see faultyLink(). */
  readonly noMemory: number;
  /** On their way when the cable was pulled out. */
  readonly cutOff: number;
  /** On their way now. */
  readonly waiting: number;
}

/** What a link that is bad on purpose has done, by direction. */
export interface FaultStats {
  readonly toGuest: FaultCounts;
  readonly fromGuest: FaultCounts;
}
