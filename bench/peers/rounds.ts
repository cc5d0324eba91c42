// The rounds of a row: all engines up and warm, measured in turn.
//
// A row begins with fresh engines, each with a guest of its own; those whose turn it is not are idle. Each first gets
// the row's load unmeasured, in pieces of a second: a Node engine needs about 3 s of it, on a busy machine more, before
// its code is compiled, and the figures are those of warm engines. So the warm-up lasts until a piece is no better than
// those before it, at least and at most as long as the plan says, by the same rule for all engines. Then the rounds:
// every engine once, the order turned round each time, so that none always comes first. What happens on the machine
// meanwhile meets the engines of a round alike, therefore ratios are taken in each round.

import { cpus } from 'node:os';
import type { Engine } from './engines.ts';
import { sleep } from './machine.ts';
import type { Measure, Values } from './measures.ts';
import { type Row, STANDING } from './rows.ts';
import type { Guest, Stage } from './stage.ts';

/** The last: what else runs on a machine tends to be on the first. */
const PINNED_CPU = cpus().length - 1;
/** A piece of warm-up that gains less than this is none. */
const BETTER = 1.05;
/** Times the least warm-up. */
const MOST_WARM = 4;
/** For what the last load left behind to be closed. */
const BETWEEN_MS = 200;

export interface Plan {
  readonly rounds: number;
  readonly seconds: number;
  /** Of warm-up, at least; at most four times as long. */
  readonly warmSeconds: number;
}

/** What one engine did in one round; null when it failed. */
export type Sample = Values | null;

/** Told of every measurement. */
export type Progress = (row: Row, engine: string, round: number, result: Values | string) => void;

/** Samples by engine, one a round. */
export async function measureRow(
  row: Row,
  engines: readonly Engine[],
  stage: Stage,
  plan: Plan,
  progress: Progress,
): Promise<Map<string, Sample[]>> {
  const able = engines.filter(
    (engine) =>
      engine.maxMtu >= row.mtu &&
      !row.without?.includes(engine.name) &&
      !(engine.onlyLoads && row.group === STANDING),
  );
  const samples = new Map<string, Sample[]>(able.map((engine) => [engine.name, []]));
  const servers = await stage.servers(row.isPinned ? PINNED_CPU : null);
  const guests = new Map<Engine, Guest>();
  try {
    if (row.measure.on === 'guest') await warmUp(row, row.measure, able, stage, plan, guests, progress);
    for (let round = 0; round < plan.rounds; round++) {
      const order = round % 2 === 0 ? able : [...able].reverse();
      for (const engine of order) {
        const result = await once(row.measure, engine, guests.get(engine), stage, plan.seconds);
        samples.get(engine.name)!.push(typeof result === 'string' ? null : result);
        progress(row, engine.name, round, result);
        await sleep(BETWEEN_MS);
      }
    }
  } finally {
    for (const guest of guests.values()) await guest.stop();
    await servers.stop();
  }
  return samples;
}

async function warmUp(
  row: Row,
  measure: Measure & { on: 'guest' },
  engines: readonly Engine[],
  stage: Stage,
  plan: Plan,
  guests: Map<Engine, Guest>,
  progress: Progress,
): Promise<void> {
  for (const engine of engines) {
    try {
      const guest = await stage.guest(engine, { mtu: row.mtu, cpu: row.isPinned ? PINNED_CPU : null });
      guests.set(engine, guest);
      const warm = measure.warm ?? measure.run;
      await untilSteady(plan.warmSeconds, async () => Object.values(await warm(guest, stage, 1))[0] ?? 0);
    } catch (error) {
      progress(row, engine.name, -1, String(error));
    }
    await sleep(BETWEEN_MS);
  }
}

/** Repeats a piece of a second, which returns its rate, until it is no better than the best before. */
export async function untilSteady(atLeastSeconds: number, piece: () => Promise<number>): Promise<void> {
  let best = 0;
  for (let seconds = 1; seconds <= atLeastSeconds * MOST_WARM; seconds++) {
    const rate = await piece();
    if (seconds >= atLeastSeconds && rate < best * BETTER) return;
    best = Math.max(best, rate);
  }
}

/** The values, or why there are none: an engine that fails a row does not end the run. */
async function once(
  measure: Measure,
  engine: Engine,
  guest: Guest | undefined,
  stage: Stage,
  seconds: number,
): Promise<Values | string> {
  try {
    if (measure.on === 'engine') return await measure.run(engine, stage, seconds);
    if (measure.on === 'raw' || guest === undefined) return 'it did not come up';
    return await measure.run(guest, stage, seconds);
  } catch (error) {
    return String(error);
  }
}
