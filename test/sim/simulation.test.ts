import { expect, test } from 'vitest';
import { Simulator } from './simulation.ts';

const RUNS = 300;

/** Seeds that failed once. */
const FAILED_ONCE: readonly number[] = [];

test(`${RUNS} seeded connections over a bad channel: every byte in order, or an end with a reason`, () => {
  const simulator = new Simulator();
  const problems: string[] = [];
  const outcomes: string[] = [];
  for (const seed of [...FAILED_ONCE, ...Array.from({ length: RUNS }, (_, i) => i + 1)]) {
    const { problem, outcome } = simulator.run(seed);
    outcomes.push(outcome);
    if (problem !== null) problems.push(`seed ${seed} (${outcome}): ${problem}`);
  }
  expect(problems).toEqual([]);
  // Giving up is an end with a reason, but no way to deal with a loss: at worst a handshake that lost all its segments.
  expect(outcomes.filter((outcome) => outcome.includes('timed-out')).length).toBeLessThanOrEqual(2);
  expect(outcomes.filter((outcome) => outcome === 'normal/normal').length).toBeGreaterThan(RUNS / 2);
});
