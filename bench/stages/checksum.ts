// The two functions that touch payload, and the copy alone to compare with. base/memory.ts.

import { createMemory } from '../../src/base/memory.ts';
import type { Kernel } from '../engine.ts';
import type { Case, Stage } from '../stage.ts';

const SIZE = 1 << 20;
const LENGTHS = [20, 64, 536, 1460, 8960, 65480];
/** About as many bytes a call, whatever the length. */
const BYTES_PER_CALL = 65536;
const FROM = 2;
const TO = SIZE / 2 + 2;

export function checksum(kernel: Kernel): Stage {
  const memory = createMemory(SIZE, (buffer) => Buffer.from(buffer), kernel);
  memory.bytes.fill(0x5a);
  let sums = 0;
  const cases = LENGTHS.flatMap((len): Case[] => {
    const ops = Math.max(1, Math.floor(BYTES_PER_CALL / len));
    const repeat =
      (once: () => void): (() => void) =>
      () => {
        for (let i = 0; i < ops; i++) once();
      };
    const sum = repeat(() => {
      sums = (sums + memory.sum(FROM, len)) | 0;
    });
    const copySum = repeat(() => {
      sums = (sums + memory.copySum(TO, FROM, len)) | 0;
    });
    return [
      { name: `sum, ${len} B`, ops, bytes: len, call: sum },
      { name: `copy and sum, ${len} B`, ops, bytes: len, call: copySum },
      { name: `copy only, ${len} B`, ops, bytes: len, call: repeat(() => memory.copy(TO, FROM, len)) },
    ];
  });
  return {
    cases,
    verify: () => {
      if (sums === 0) throw new Error('nothing was summed');
    },
  };
}
