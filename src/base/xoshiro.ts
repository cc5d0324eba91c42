// Random words from a seed, the same for ever: for what has to happen again exactly as it did. Not for anything that
// a stranger must not guess. The generator is xoshiro128** (Blackman and Vigna, "Scrambled linear pseudorandom number
// generators", 2021), its state filled by the finalizer of MurmurHash3, so that seeds and streams that differ in one
// bit have nothing in common.

import type { Random } from './random.ts';

export class Xoshiro implements Random {
  private readonly state = new Int32Array(4);

  /** `seed` and `stream` are taken modulo 2^32. Only the streams of one seed differ for certain. */
  constructor(seed: number, stream = 0) {
    const { state } = this;
    let at = mix((seed | 0) ^ mix((stream | 0) + 0x7f4a7c15));
    for (let i = 0; i < 4; i++) {
      at = (at + 0x9e3779b9) | 0;
      state[i] = mix(at);
    }
    // All zero is the one state that it never leaves. mix() is one to one, so this cannot be: `at` differs each time.
  }

  word(): number {
    const { state } = this;
    const s1 = state[1]!;
    const result = Math.imul(rotate(Math.imul(s1, 5), 7), 9);
    state[2]! ^= state[0]!;
    state[3]! ^= s1;
    state[1]! ^= state[2]!;
    state[0]! ^= state[3]!;
    state[2]! ^= s1 << 9;
    state[3] = rotate(state[3]!, 11);
    return result;
  }
}

function rotate(word: number, by: number): number {
  return (word << by) | (word >>> (32 - by));
}

function mix(word: number): number {
  let w = word;
  w = Math.imul(w ^ (w >>> 16), 0x85ebca6b);
  w = Math.imul(w ^ (w >>> 13), 0xc2b2ae35);
  return w ^ (w >>> 16);
}
