import { expect, test } from 'vitest';
import { readFailed } from './failed.ts';
import { Simulator } from './simulation.ts';

test.each(readFailed(import.meta.dirname))('seed $seed, which failed once: $why', ({ seed, config }) => {
  expect(new Simulator().run(seed, config).problem).toBeNull();
});
