/** Whole milliseconds on a monotonic scale that starts near zero when the clock is made. */
export type Ms = number;

/** Microseconds on the scale of Ms. A clock says whole ones; what is computed from a rate may have a fraction. */
export type Micros = number;

/** A deadline that is off. */
export const NEVER: Ms = Number.POSITIVE_INFINITY;

/** Where time comes from. The core calls no timer and no date function of its own. */
export interface Clock {
  /** Monotonic now, a whole number. Read once per turn; everything below receives it as `now`. */
  now(): Ms;
  /** The same now, finer: floor(micros() / 1000) is what now() says at that instant. */
  micros(): Micros;
  /** Milliseconds since 1970-01-01 UTC, with a fraction; for capture timestamps and log lines only. */
  wallNow(): number;
  /** One call of `wake` at or after `at`; a later call replaces the earlier, NEVER cancels. */
  setAlarm(at: Ms, wake: () => void): void;
  /**
   * One call of `wake` after the current callback and pending input; each call is kept. `notBefore` says that there is
   * nothing to do until then: a hint, for a clock that has something better to do. Who is woken too early asks again.
   */
  soon(wake: () => void, notBefore?: Micros): void;
}
