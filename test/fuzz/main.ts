// npm run fuzz -- --frames 10000000 [--seed S] [--workers N] [--own]
//
// Throws so many mutated frames at networks and says what became of them. Exit status 1 where something did not hold: what
// led to it is saved in test/fuzz/crashes/, where a test finds it. `--own`: only the captures of this repository, as in
// CI, so that a seed does the same everywhere.

import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { type HeapUse, heapInUse } from '../support/heap.ts';
import { Campaign, Failure } from './campaign.ts';
import { crashFolder, saveCrash } from './crashes.ts';
import type { TrainCounts } from './fuzz-link.ts';
import { collectSeeds } from './seeds.ts';

const MIB = 1 << 20;
/**
 * The heap may be so much of what it was when the warm-up was over, which is a fifth of the run, but a million frames, and
 * half of a short one. V8 goes on compiling what it has seen often enough for as long.
 */
const FLAT = 1.05;
const WARM_UP = 1_000_000;
/** Looks at the heap after the warm-up, at most. */
const LOOKS = 20;
const PROGRESS_MS = 5000;

interface Job {
  readonly seed: number;
  readonly frames: number;
  readonly own: boolean;
  readonly root: string;
}

interface Result {
  readonly frames: number;
  readonly sent: number;
  readonly lives: number;
  readonly trains: TrainCounts;
  readonly verdicts: Readonly<Record<string, number>>;
  readonly losses: Readonly<Record<string, number>>;
  /** In use when the warm-up was over, each time it was looked at after that. */
  readonly heap: readonly HeapUse[];
  readonly failed: boolean;
}

type Message = { readonly line: string } | { readonly result: Result };

async function runJob(job: Job, say: (line: string) => void): Promise<Result> {
  const seeds = collectSeeds(job.root, !job.own);
  say(`seed ${job.seed}: ${seeds.frames.length} frames of ${seeds.captures} captures to begin with`);
  const heap: HeapUse[] = [];
  const warmUp = Math.min(job.frames / 2, Math.max(job.frames / 5, WARM_UP));
  let next = warmUp;
  let toldAt = performance.now();
  const startedAt = toldAt;
  const onLifeOver = async (running: Campaign): Promise<void> => {
    if (running.frames < next) return;
    next = running.frames + (job.frames - warmUp) / LOOKS;
    heap.push(await heapInUse());
  };
  const onBurst = (running: Campaign): void => {
    const now = performance.now();
    if (now - toldAt < PROGRESS_MS) return;
    toldAt = now;
    const rate = Math.round(running.frames / ((now - startedAt) / 1000));
    const share = ((100 * running.frames) / job.frames).toFixed(1);
    const used = (process.memoryUsage().heapUsed / MIB).toFixed(1);
    say(`seed ${job.seed}: ${running.frames} frames (${share} %), ${rate} a second, heap ${used} MiB`);
  };
  const life = Math.min(40_000, Math.ceil(job.frames / 40));
  const campaign = new Campaign({ ...job, life, seeds: seeds.frames, onLifeOver, onBurst });
  let failed = false;
  try {
    await campaign.run();
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    failed = true;
    await saveCrash(error, crashFolder(job.root), say);
    say(`again: npm run fuzz -- --frames ${job.frames} --seed ${job.seed}${job.own ? ' --own' : ''}`);
  }
  const { frames, sent, lives, trains, verdicts, losses } = campaign;
  return { frames, sent, lives, trains, verdicts, losses, heap, failed };
}

function report(results: readonly Result[], seconds: number): boolean {
  const total = (what: (result: Result) => number): number =>
    results.reduce((sum, one) => sum + what(one), 0);
  const frames = total((one) => one.frames);
  console.log(`${frames} frames in ${seconds.toFixed(0)} s, ${Math.round(frames / seconds)} a second`);
  console.log(`${total((one) => one.sent)} frames to guests, ${total((one) => one.lives)} networks`);
  const inTrains = [total((one) => one.trains.taken), total((one) => one.trains.made)];
  console.log(`in trains: ${inTrains[0]} frames of guests, ${inTrains[1]} to guests`);
  const verdicts = sumOf(results.map((one) => one.verdicts));
  const sum = Object.values(verdicts).reduce((a, b) => a + b, 0);
  console.log(`verdicts: ${sum}, ${sum === frames ? 'as many as frames' : `not ${frames}`}`);
  print(verdicts);
  console.log('lost later:');
  print(sumOf(results.map((one) => one.losses)));
  let isFlat = true;
  for (const { heap } of results) {
    const [warm, end] = [heap[0]!, heap.at(-1)!];
    const most = Math.max(...heap.map((use) => use.all));
    const mib = (bytes: number): string => (bytes / MIB).toFixed(2);
    console.log(
      `heap in use, MiB: ${mib(warm.all)} when it was warm, ${mib(end.all)} at the end, at most ${mib(most)}`,
    );
    console.log(`of it compiled code: ${mib(warm.code)} when it was warm, ${mib(end.code)} at the end`);
    isFlat &&= most <= warm.all * FLAT;
  }
  if (!isFlat) console.log('the heap has grown by more than 5 %');
  return isFlat && sum === frames && results.every((one) => !one.failed);
}

function sumOf(all: readonly Readonly<Record<string, number>>[]): Record<string, number> {
  const sums: Record<string, number> = {};
  for (const one of all) for (const [name, n] of Object.entries(one)) sums[name] = (sums[name] ?? 0) + n;
  return sums;
}

function print(counts: Readonly<Record<string, number>>): void {
  const rows = Object.entries(counts).sort((a, b) => b[1] - a[1]);
  for (const [name, n] of rows) console.log(`  ${name.padEnd(24)}${String(n).padStart(12)}`);
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      frames: { type: 'string', default: '1000000' },
      seed: { type: 'string', default: '1' },
      workers: { type: 'string', default: '1' },
      own: { type: 'boolean', default: false },
    },
  });
  const numbers = [values.frames, values.seed, values.workers].map(Number);
  const [frames, seed, workers] = numbers as [number, number, number];
  if (numbers.some((n) => !Number.isSafeInteger(n)) || frames < 1 || workers < 1) {
    console.error('usage: npm run fuzz -- --frames N [--seed S] [--workers N] [--own]');
    process.exitCode = 2;
    return;
  }
  const startedAt = performance.now();
  const jobs = Array.from({ length: workers }, (_, i): Job => {
    const share = Math.floor(frames / workers) + (i < frames % workers ? 1 : 0);
    return { seed: seed + i, frames: share, own: values.own, root: process.cwd() };
  });
  const say = (line: string): void => console.error(line);
  const results =
    workers === 1 ? [await runJob(jobs[0]!, say)] : await Promise.all(jobs.map((job) => inWorker(job, say)));
  if (!report(results, (performance.now() - startedAt) / 1000)) process.exitCode = 1;
}

function inWorker(job: Job, say: (line: string) => void): Promise<Result> {
  const worker = new Worker(fileURLToPath(import.meta.url), { workerData: job });
  return new Promise((done, failed) => {
    worker.on('message', (message: Message) => {
      if ('line' in message) say(message.line);
      else done(message.result);
    });
    worker.on('error', failed);
  });
}

if (isMainThread) await main();
else {
  const post = (message: Message): void => parentPort!.postMessage(message);
  post({ result: await runJob(workerData as Job, (line) => post({ line })) });
}
