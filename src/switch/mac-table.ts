// Which port a MAC is behind. Learned from the source of every frame, forgotten 300 s after the last one (IEEE 802.1D's
// default) or when the port goes. At most `limit` entries; the one heard of longest ago goes first, so a guest that
// makes MACs up can push out others' entries, and these are flooded until they speak: as with any switch.

import type { Ms } from '../base/clock.ts';
import { type DropCounters, Loss } from '../base/drop.ts';

const AGE: Ms = 300_000;

interface Entry {
  port: number;
  seenAt: Ms;
}

export class MacTable {
  /** In the order of last sighting, to the second. Keys: the MAC as a number below 2^48. */
  private readonly entries = new Map<number, Entry>();
  private readonly limit: number;
  private readonly drops: DropCounters;

  constructor(limit: number, drops: DropCounters) {
    this.limit = limit;
    this.drops = drops;
  }

  get size(): number {
    return this.entries.size;
  }

  learn(hi: number, lo: number, port: number, now: Ms): void {
    const key = keyOf(hi, lo);
    const known = this.entries.get(key);
    if (known !== undefined) {
      known.port = port;
      // Kept in order of sighting, but not for every frame.
      if (now - known.seenAt < 1000) return;
      known.seenAt = now;
      this.entries.delete(key);
      this.entries.set(key, known);
      return;
    }
    if (this.entries.size >= this.limit) {
      for (const oldest of this.entries.keys()) {
        this.entries.delete(oldest);
        break;
      }
      this.drops.lose(Loss.MacEvicted);
    }
    this.entries.set(key, { port, seenAt: now });
  }

  /** The port, or -1 when it is not known. */
  find(hi: number, lo: number, now: Ms): number {
    const entry = this.entries.get(keyOf(hi, lo));
    return entry === undefined || now - entry.seenAt > AGE ? -1 : entry.port;
  }

  forgetPort(port: number): void {
    for (const [key, entry] of this.entries) if (entry.port === port) this.entries.delete(key);
  }
}

function keyOf(hi: number, lo: number): number {
  return hi * 4294967296 + (lo >>> 0);
}
