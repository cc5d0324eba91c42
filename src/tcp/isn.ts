// Initial sequence numbers, RFC 6528: a clock of 4 microseconds a tick plus a keyed hash of the connection's addresses,
// so that two connections in a row between the same ends do not overlap and nobody else can guess them.

import type { Ms } from '../base/clock.ts';
import type { Random } from '../base/random.ts';

export class Isn {
  private readonly key: Int32Array;

  constructor(random: Random) {
    this.key = Int32Array.from({ length: 4 }, () => random.word());
  }

  /** ISS for the connection whose addresses and ports are the words of `tuple`. */
  next(tuple: Int32Array, now: Ms): number {
    return (now * 250 + keyedHash(tuple, tuple.length, this.key)) | 0;
  }
}

/**
 * HalfSipHash-2-4 (Aumasson, Bernstein: SipHash) of the first `words` words with a secret key of four words. RFC 6528
 * asks for a cryptographic function of the tuple and a secret; the key's second half goes into the finalization.
 */
export function keyedHash(tuple: Int32Array, words: number, key: Int32Array): number {
  let v0 = key[0]!;
  let v1 = key[1]!;
  let v2 = 0x6c796765 ^ key[0]!;
  let v3 = 0x74656462 ^ key[1]!;
  for (let i = 0; i <= words + 1; i++) {
    const m = i < words ? tuple[i]! : i === words ? key[2]! ^ (words << 26) : key[3]!;
    v3 ^= m;
    if (i > words) v2 ^= 0xff;
    const rounds = i > words ? 4 : 2;
    for (let r = 0; r < rounds; r++) {
      v0 = (v0 + v1) | 0;
      v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0;
      v0 = (v0 << 16) | (v0 >>> 16);
      v2 = (v2 + v3) | 0;
      v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
      v0 = (v0 + v3) | 0;
      v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0;
      v2 = (v2 + v1) | 0;
      v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2;
      v2 = (v2 << 16) | (v2 >>> 16);
    }
    v0 ^= m;
  }
  return v1 ^ v3;
}
