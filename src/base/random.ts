/** Where randomness comes from: the operating system's generator outside of tests, a seed in them. */
export interface Random {
  /** Uniform over all 32-bit words, as a signed integer. */
  word(): number;
}

/** Uniform in [0, below). `below` is 1..2^31; the modulo bias stays under one in two billion over `below`. */
export function randomBelow(random: Random, below: number): number {
  return (random.word() >>> 0) % below;
}
