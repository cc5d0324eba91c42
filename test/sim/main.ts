// npm run sim: many seeded connections over bad channels, or one of them segment by segment.
//
//   npm run sim -- --runs 100000 [--from SEED] [--workers N] [--json FILE] [--record]
//   npm run sim -- --seed S [--keep WHY]  one run: its segments as tcpdump would print them, then its config and result
//   npm run sim -- --update               the runs of npm test, written to results.json and results.md
//
// The table goes to stdout, progress to stderr. Exit status 1 with the failing seeds when a run fails. --record keeps the
// table in results.json and results.md, --keep the run in failed-once.json. Work is done in processes of their own, a
// batch of seeds at a time.

import { type ChildProcess, fork } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { memoryOver } from '../../src/base/memory.ts';
import { describeTcp } from '../../src/wire/describe-tcp.ts';
import { keepFailed } from './failed.ts';
import { type Batch, RUNS_PER_SHARD, readResults, runBatch, SHARDS, writeResults } from './results.ts';
import { Simulator } from './simulation.ts';
import { addTable, newTable, renderTable, type Table } from './table.ts';

interface Job {
  readonly from: number;
  readonly runs: number;
}

const WORKER = '--worker';
/** Seeds of one job: about a second. */
const JOB_RUNS = 250;

/** Runs jobs as they come from the parent, and answers each with its Batch. */
function work(): void {
  process.on('message', ({ from, runs }: Job) => process.send!(runBatch(from, runs)));
}

/** All jobs in `workers` processes; calls `done` for each, in the order in which they end. */
async function runJobs(
  jobs: readonly Job[],
  workers: number,
  done: (job: Job, batch: Batch) => void,
): Promise<void> {
  const waiting = [...jobs];
  const one = (): Promise<void> =>
    new Promise((resolve, reject) => {
      const child = fork(fileURLToPath(import.meta.url), [WORKER], { stdio: 'inherit' });
      let job = waiting.shift();
      const next = () => {
        if (job === undefined) child.disconnect();
        else child.send(job);
      };
      child.on('message', (batch: Batch) => {
        done(job!, batch);
        job = waiting.shift();
        next();
      });
      child.on('exit', (code) =>
        code === 0 && job === undefined ? resolve() : reject(exited(child, code, job)),
      );
      next();
    });
  await Promise.all(Array.from({ length: Math.min(workers, jobs.length) }, one));
}

function exited(child: ChildProcess, code: number | null, job: Job | undefined): Error {
  return new Error(`process ${child.pid} ended with ${code} at the seeds from ${job?.from} on`);
}

async function runMany(from: number, runs: number, workers: number): Promise<Batch> {
  const jobs: Job[] = [];
  for (let at = 0; at < runs; at += JOB_RUNS)
    jobs.push({ from: from + at, runs: Math.min(JOB_RUNS, runs - at) });
  const all: Batch = { table: newTable(), failures: [] };
  let finished = 0;
  await runJobs(jobs, workers, (job, batch) => {
    addTable(all.table, batch.table);
    all.failures.push(...batch.failures);
    finished += job.runs;
    process.stderr.write(`\r${finished} of ${runs} runs, ${all.failures.length} failed`);
    for (const failure of batch.failures) process.stderr.write(`\n${failure}\n`);
  });
  process.stderr.write('\n');
  return all;
}

/** One run, every segment as a line. `keep`: what is wrong with it, null when nothing is to be kept. */
function showOne(folder: string, seed: number, keep: string | null): boolean {
  const simulator = new Simulator();
  simulator.trace = (now, from, fate, bytes) => {
    const to = from === 'active' ? 'passive' : 'active';
    const segment = describeTcp(memoryOver(bytes), 0, bytes.length, bytes.length, from, to, -1);
    process.stdout.write(`${(now / 1000).toFixed(3).padStart(10)} ${fate.padEnd(10)} ${segment}\n`);
  };
  const result = simulator.run(seed);
  process.stdout.write(`${JSON.stringify(result, null, 2)}\n`);
  if (keep !== null) keepFailed(folder, { why: keep, seed, config: result.config });
  return result.problem === null;
}

async function update(folder: string, workers: number): Promise<boolean> {
  const shards: Table[] = Array.from({ length: SHARDS }, newTable);
  const jobs = shards.map((_, n) => ({ from: 1 + n * RUNS_PER_SHARD, runs: RUNS_PER_SHARD }));
  const failures: string[] = [];
  await runJobs(jobs, workers, (job, batch) => {
    addTable(shards[(job.from - 1) / RUNS_PER_SHARD]!, batch.table);
    failures.push(...batch.failures);
  });
  return finish(failures, () => writeResults(folder, { ...readResults(folder), shards }));
}

function finish(failures: readonly string[], write: () => void): boolean {
  for (const failure of failures) process.stdout.write(`${failure}\n`);
  if (failures.length === 0) write();
  return failures.length === 0;
}

async function main(folder: string): Promise<boolean> {
  const { values } = parseArgs({
    args: process.argv.slice(2),
    options: {
      runs: { type: 'string', default: String(SHARDS * RUNS_PER_SHARD) },
      from: { type: 'string', default: '1' },
      workers: { type: 'string', default: String(availableParallelism()) },
      seed: { type: 'string' },
      keep: { type: 'string' },
      json: { type: 'string' },
      update: { type: 'boolean', default: false },
      record: { type: 'boolean', default: false },
    },
  });
  if (values.seed !== undefined) return showOne(folder, number('seed', values.seed), values.keep ?? null);
  const workers = number('workers', values.workers);
  if (values.update) return update(folder, workers);
  const from = number('from', values.from);
  const runs = number('runs', values.runs);
  const { table, failures } = await runMany(from, runs, workers);
  process.stdout.write(renderTable(table));
  if (values.json !== undefined) {
    writeFileSync(values.json, `${JSON.stringify({ from, runs, failures, table }, null, 2)}\n`);
  }
  return finish(failures, () => {
    if (!values.record) return;
    writeResults(folder, { ...readResults(folder), long: { from, runs, table } });
  });
}

function number(name: string, text: string): number {
  const value = Number(text);
  if (!Number.isInteger(value) || value < 0) throw new Error(`--${name} ${text}: not a whole number`);
  return value;
}

if (process.argv.includes(WORKER)) work();
else if (!(await main(dirname(process.argv[1]!)))) process.exitCode = 1;
