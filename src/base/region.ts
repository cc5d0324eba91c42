/** A place in the arena. */
export class Region {
  off = 0;
  /** Bytes; 0 where there is none. */
  len = 0;
}
