// Flows by the numbers of their packets. Open addressing with linear probing over typed arrays: a hit costs 15 to 50 ns
// with the key read in place, a Map of strings 250 to 800 (bench/stages/flow-table.ts). Keys are ten words, so that IPv6
// addresses fit: source and destination address, both ports, protocol and ingress port. Guests choose the keys, so the
// hash is keyed with random odd multipliers. Starts small, doubles at three quarters full.

import type { Random } from '../base/random.ts';

/** Words of a key. */
export const KEY_WORDS = 10;
/** IPv4 mapped, as in base/addr.ts. */
const MAPPED = 0xffff;
const MIN_SLOTS = 64;

/** Fills `key` for an IPv4 flow; port 0 and address 0 where a flow is not bound to a remote. */
export function setKey(
  key: Int32Array,
  guest: number,
  guestPort: number,
  remote: number,
  remotePort: number,
  proto: number,
  ingress: number,
): void {
  key[0] = 0;
  key[1] = 0;
  key[2] = MAPPED;
  key[3] = guest;
  key[4] = 0;
  key[5] = 0;
  key[6] = MAPPED;
  key[7] = remote;
  key[8] = (guestPort << 16) | remotePort;
  key[9] = (proto << 24) | ingress;
}

export class FlowTable<F> {
  private readonly multipliers: Int32Array;
  private slots: number;
  private keys: Int32Array;
  private flows: (F | undefined)[];
  private count = 0;

  constructor(random: Random) {
    this.multipliers = Int32Array.from({ length: KEY_WORDS }, () => random.word() | 1);
    this.slots = MIN_SLOTS;
    this.keys = new Int32Array(MIN_SLOTS * KEY_WORDS);
    this.flows = new Array<F | undefined>(MIN_SLOTS);
  }

  get size(): number {
    return this.count;
  }

  /** The flow of `key`, which is lent. */
  find(key: Int32Array): F | undefined {
    return this.flows[this.slotOf(key)];
  }

  /** Adds or replaces. `key` is copied. */
  set(key: Int32Array, flow: F): void {
    if ((this.count + 1) * 4 > this.slots * 3) this.resize(this.slots * 2);
    const slot = this.slotOf(key);
    if (this.flows[slot] === undefined) this.count++;
    this.keys.set(key, slot * KEY_WORDS);
    this.flows[slot] = flow;
  }

  /** Removes `key` if it is there and leads to `flow`. */
  delete(key: Int32Array, flow: F): void {
    const slot = this.slotOf(key);
    if (this.flows[slot] !== flow) return;
    this.count--;
    this.closeHole(slot);
    if (this.slots > MIN_SLOTS && this.count * 8 < this.slots) this.resize(this.slots / 2);
  }

  values(): F[] {
    return this.flows.filter((flow): flow is F => flow !== undefined);
  }

  /** Where `key` is, or the free slot where it belongs. */
  private slotOf(key: Int32Array): number {
    const mask = this.slots - 1;
    let slot = this.hash(key, 0) & mask;
    while (this.flows[slot] !== undefined && !this.matches(slot, key)) slot = (slot + 1) & mask;
    return slot;
  }

  private matches(slot: number, key: Int32Array): boolean {
    const { keys } = this;
    const at = slot * KEY_WORDS;
    // The words that differ most often first.
    return (
      keys[at + 8] === key[8] &&
      keys[at + 7] === key[7] &&
      keys[at + 3] === key[3] &&
      keys[at + 9] === key[9] &&
      keys[at + 6] === key[6] &&
      keys[at + 5] === key[5] &&
      keys[at + 4] === key[4] &&
      keys[at + 2] === key[2] &&
      keys[at + 1] === key[1] &&
      keys[at] === key[0]
    );
  }

  /** Of the ten words at `at`: a sum of products with secret odd numbers, its high bits mixed down. */
  private hash(words: Int32Array, at: number): number {
    const m = this.multipliers;
    let h = 0;
    for (let i = 0; i < KEY_WORDS; i++) h = (h + Math.imul(words[at + i]!, m[i]!)) | 0;
    h = Math.imul(h ^ (h >>> 16), 0x45d9f3b);
    return h ^ (h >>> 15);
  }

  /** Moves back what probed past `hole`, so that no mark of a deleted entry is needed. */
  private closeHole(hole: number): void {
    const mask = this.slots - 1;
    let free = hole;
    let slot = hole;
    for (;;) {
      slot = (slot + 1) & mask;
      if (this.flows[slot] === undefined) break;
      const home = this.hash(this.keys, slot * KEY_WORDS) & mask;
      if (((slot - home) & mask) < ((slot - free) & mask)) continue;
      this.keys.copyWithin(free * KEY_WORDS, slot * KEY_WORDS, (slot + 1) * KEY_WORDS);
      this.flows[free] = this.flows[slot];
      free = slot;
    }
    this.flows[free] = undefined;
  }

  private resize(slots: number): void {
    const { keys, flows } = this;
    this.slots = slots;
    this.keys = new Int32Array(slots * KEY_WORDS);
    this.flows = new Array<F | undefined>(slots);
    for (const [i, flow] of flows.entries()) {
      if (flow === undefined) continue;
      const key = keys.subarray(i * KEY_WORDS, (i + 1) * KEY_WORDS);
      const slot = this.slotOf(key);
      this.keys.set(key, slot * KEY_WORDS);
      this.flows[slot] = flow;
    }
  }
}
