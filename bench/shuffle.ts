import { Xoshiro } from '../src/base/xoshiro.ts';

/** 0..size-1 in an order that is the same every time. */
export function shuffled(size: number): Int32Array {
  const order = Int32Array.from({ length: size }, (_, i) => i);
  const random = new Xoshiro(1);
  for (let i = size - 1; i > 0; i--) {
    const other = (random.word() >>> 0) % (i + 1);
    const kept = order[i]!;
    order[i] = order[other]!;
    order[other] = kept;
  }
  return order;
}
