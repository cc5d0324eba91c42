// The rounds of the rows with raw frames: all engines in this process, which stays warm from the same load, in turn.

import type { RawMeasure } from '../measures.ts';
import { type Plan, type Progress, type Sample, untilSteady } from '../rounds.ts';
import type { Row } from '../rows.ts';
import type { RawEngine } from './engine.ts';
import { RawGondolin } from './gondolin.ts';
import { RawGuest } from './guest.ts';
import { RawUsernet } from './usernet.ts';
import { RawV86 } from './v86.ts';

/** The engines of npm, which are installed for the run. */
const FROM_NPM: Readonly<Record<string, { install(folder: string): Promise<RawEngine>; version(): string }>> =
  { gondolin: RawGondolin, v86: RawV86 };
export const NPM_NAMES: readonly string[] = Object.keys(FROM_NPM);

/** Those of `names` that are for raw frames; one that cannot be had is left out and `say` is told why. */
export async function rawEngines(
  folder: string,
  names: readonly string[],
  say: (text: string) => void,
): Promise<RawEngine[]> {
  const engines: RawEngine[] = names.includes('usernet') ? [new RawUsernet()] : [];
  for (const [name, { install }] of Object.entries(FROM_NPM)) {
    if (!names.includes(name)) continue;
    try {
      engines.push(await install(folder));
    } catch (error) {
      say(`${name} is left out: ${String(error)}`);
    }
  }
  return engines;
}

/** Of engines that came from npm, by name. */
export function npmVersions(engines: readonly RawEngine[]): Record<string, string> {
  const there = engines.filter(({ name }) => name in FROM_NPM);
  return Object.fromEntries(there.map(({ name }) => [name, FROM_NPM[name]!.version()]));
}

/** Samples by engine, one a round. */
export async function measureRawRow(
  row: Row,
  measure: RawMeasure,
  engines: readonly RawEngine[],
  plan: Plan,
  progress: Progress,
): Promise<Map<string, Sample[]>> {
  const guests = engines.map((engine) => ({ engine, guest: new RawGuest(engine) }));
  const samples = new Map<string, Sample[]>(engines.map(({ name }) => [name, []]));
  for (const { guest } of guests)
    await untilSteady(plan.warmSeconds, async () => Object.values(await measure.run(guest, 1))[0] ?? 0);
  for (let round = 0; round < plan.rounds; round++) {
    for (const { engine, guest } of round % 2 === 0 ? guests : [...guests].reverse()) {
      const values = await measure.run(guest, plan.seconds);
      samples.get(engine.name)!.push(values);
      progress(row, engine.name, round, values);
    }
  }
  return samples;
}
