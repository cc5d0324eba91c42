// Which port a MAC is behind. Learned from the source of every frame, forgotten 300 s after the last one (IEEE 802.1D's
// default) or when the port goes. At most `limit` entries; beyond, the port that has the most loses the one that was heard
// of longest ago, so a guest that makes MACs up pushes out its own. What is pushed out is flooded until it speaks.

import type { Ms } from '../base/clock.ts';
import { type DropCounters, Loss } from '../base/drop.ts';
import { PortTable } from '../base/port-table.ts';

const AGE: Ms = 300_000;
/** The order of sightings is right to this. */
const REFRESH: Ms = 1000;

interface Sighting {
  readonly port: number;
  readonly seenAt: Ms;
}

export class MacTable {
  /** In the order of last sighting, to the second. Keys: the MAC as a number below 2^48. */
  private readonly table: PortTable<Sighting>;
  private readonly drops: DropCounters;
  /** What need not be looked up again before `until`. */
  private readonly last = { hi: -1, lo: 0, port: -1, until: 0 };

  constructor(limit: number, drops: DropCounters) {
    this.table = new PortTable(limit);
    this.drops = drops;
  }

  get size(): number {
    return this.table.size;
  }

  /** True: it was not known, or is behind another port now. */
  learn(hi: number, lo: number, port: number, now: Ms): boolean {
    const { last } = this;
    // Most frames come from where the one before came from.
    if (hi === last.hi && lo === last.lo && port === last.port && now < last.until) return false;
    const key = keyOf(hi, lo);
    const known = this.table.get(key);
    const isNew = known?.port !== port;
    // Kept in order of sighting, but not for every frame.
    if (!isNew && now - known.seenAt < REFRESH) {
      this.remember(hi, lo, port, known.seenAt);
      return false;
    }
    if (this.table.set(key, port, { port, seenAt: now })) this.drops.lose(Loss.MacEvicted);
    this.remember(hi, lo, port, now);
    return isNew;
  }

  /** The port, or -1 when it is not known. */
  find(hi: number, lo: number, now: Ms): number {
    const known = this.table.get(keyOf(hi, lo));
    return known === undefined || now - known.seenAt > AGE ? -1 : known.port;
  }

  forgetPort(port: number): void {
    this.last.until = 0;
    this.table.forgetPort(port);
  }

  private remember(hi: number, lo: number, port: number, seenAt: Ms): void {
    const { last } = this;
    last.hi = hi;
    last.lo = lo;
    last.port = port;
    last.until = seenAt + REFRESH;
  }
}

function keyOf(hi: number, lo: number): number {
  return hi * 4294967296 + (lo >>> 0);
}
