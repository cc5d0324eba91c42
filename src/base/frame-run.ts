/** Frames that lie one behind the other in the arena, each behind its length as in QEMU's framing; the last may be incomplete. */
export interface FrameRun {
  /** Where the first that is not taken begins, with its length; whoever takes frames moves it on. */
  at: number;
  readonly end: number;
  /** So many may be taken. */
  readonly most: number;
}
