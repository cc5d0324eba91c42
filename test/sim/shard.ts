import { expect } from 'vitest';
import { readResults, runShard } from './results.ts';

/** Milliseconds; five seconds of a processor that is shared with other tests. */
export const SHARD_TIMEOUT = 180_000;

/** Runs shard `n`, counted from 1, and compares it with what is on record. */
export function checkShard(n: number): void {
  const { table, failures } = runShard(n - 1);
  expect(failures).toEqual([]);
  const changed =
    'the simulation gives other results than before: `npm run sim -- --update`, and look at the difference';
  expect(table, changed).toEqual(readResults(import.meta.dirname).shards[n - 1]);
}
