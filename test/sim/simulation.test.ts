import { expect, test } from 'vitest';
import { Simulator } from './simulation.ts';

const RUNS = 300;

/** Seeds that failed once. */
const FAILED_ONCE: readonly number[] = [];

test(`${RUNS} seeded connections over a bad channel: every byte in order, or an end with a reason`, () => {
  const simulator = new Simulator();
  const problems: string[] = [];
  for (const seed of [...FAILED_ONCE, ...Array.from({ length: RUNS }, (_, i) => i + 1)]) {
    const { problem, outcome } = simulator.run(seed);
    if (problem !== null) problems.push(`seed ${seed} (${outcome}): ${problem}`);
  }
  expect(problems).toEqual([]);
});
