// The results on record: results.json for the tests to compare with, results.md for people to read.

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Simulator } from './simulation.ts';
import { addResult, addTable, newTable, renderTable, type Table } from './table.ts';

/** The runs of `npm test`: seeds from 1 on, in shards so that they share the processors. */
export const SHARDS = 4;
export const RUNS_PER_SHARD = 500;

/** What runs one after the other came to. */
export interface Batch {
  readonly table: Table;
  /** `seed 41 (normal/timed-out): what went wrong`. */
  readonly failures: string[];
}

export interface Results {
  readonly shards: readonly Table[];
  /** The longest run on record. */
  readonly long: {
    readonly from: number;
    readonly runs: number;
    readonly table: Table;
  };
}

export function runBatch(from: number, runs: number): Batch {
  const simulator = new Simulator();
  const batch: Batch = { table: newTable(), failures: [] };
  for (let seed = from; seed < from + runs; seed++) {
    const result = simulator.run(seed);
    addResult(batch.table, result);
    if (result.problem !== null) batch.failures.push(`seed ${seed} (${result.outcome}): ${result.problem}`);
  }
  return batch;
}

/** Shard `n`, 0..SHARDS-1, of the runs of `npm test`. */
export function runShard(n: number): Batch {
  return runBatch(1 + n * RUNS_PER_SHARD, RUNS_PER_SHARD);
}

export function readResults(folder: string): Results {
  return JSON.parse(readFileSync(join(folder, 'results.json'), 'utf8')) as Results;
}

export function writeResults(folder: string, results: Results): void {
  writeFileSync(join(folder, 'results.json'), `${JSON.stringify(results, null, 2)}\n`);
  writeFileSync(join(folder, 'results.md'), renderResults(results));
}

function renderResults({ shards, long }: Results): string {
  const table = newTable();
  for (const shard of shards) addTable(table, shard);
  return `# Simulated connections

Written by \`npm run sim -- --update\` and \`--record\`; what a run is stands in simulation.ts and config.ts.

Every run is two ends of our TCP over a channel that is bad in its own way, decided by a seed. In all runs below every byte
arrived in order or the connection ended with a reason that there was, no connection hung, and the invariants of
segment-watch.ts and progress.ts held after every segment.

- **whole**: every byte of both directions arrived, both ends ended in order; **cut**: an end reset or vanished, as it was
  to, and the other found out in time; **gave up**: an end's timeouts ran out, on a channel that let nothing through.
- **lost**: segments that the channel lost or damaged; **sent twice**: the share of all text sent that was not the first
  sending (what was under way when a run was cut counts too); **needless**: the share that told the receiver nothing new,
  copies made by the channel aside.
- **timeouts**: times that a retransmission timer fired; **pace**: the time that a run takes on the same way without faults,
  divided by the time it took, mean of the whole runs. Both ends' applications pause at random, so it can pass 1.

## The ${SHARDS * RUNS_PER_SHARD} runs of npm test

${renderTable(table)}${long.runs === 0 ? '' : renderLong(long)}`;
}

function renderLong(long: Results['long']): string {
  return `
## ${long.runs} runs, seeds ${long.from} to ${long.from + long.runs - 1}

${renderTable(long.table)}`;
}
