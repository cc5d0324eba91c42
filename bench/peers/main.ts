// End to end beside the C engines: Linux's own TCP as the guest, the host's loopback as the other end, engines in turn.
// Root, with iproute2, a C compiler, and of slirp4netns, passt and qemu-system-x86 what is to be compared:
//
//   npm run bench:peers -- [--rounds 7] [--seconds 2] [--warm 3] [--only ROW,ROW] [--engines NAME,NAME] [--json FILE]
//
// bench/peers/README.md says what the rows are.

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { ENGINES } from './engines.ts';
import { cleanUp } from './machine.ts';
import type { Values } from './measures.ts';
import type { RawEngine } from './raw/engine.ts';
import { measureRawRow, NPM_NAMES, npmVersions, rawEngines } from './raw/rounds.ts';
import { asJson, digits, type Measured, tables } from './report.ts';
import { measureRow, type Plan, type Sample } from './rounds.ts';
import { ROWS, type Row } from './rows.ts';
import { Stage } from './stage.ts';
import { stealTicks } from './usage.ts';
import { machine } from './versions.ts';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '7' },
    seconds: { type: 'string', default: '2' },
    warm: { type: 'string', default: '3' },
    only: { type: 'string' },
    engines: { type: 'string' },
    json: { type: 'string', default: 'bench/results/peers.json' },
    cli: { type: 'string', default: resolve('dist/usernet.mjs') },
  },
});

const plan: Plan = {
  rounds: Number(values.rounds),
  seconds: Number(values.seconds),
  warmSeconds: Number(values.warm),
};
const names = chosen([...ENGINES.map(({ name }) => name), ...NPM_NAMES], values.engines, (name) => name);
const engines = ENGINES.filter(({ name }) => names.includes(name));
const rows = chosen(ROWS, values.only, ({ id }) => id);

const folder = mkdtempSync(join(tmpdir(), 'usernet-peers-'));
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
  process.once(name, () => void leave().finally(() => process.exit(128 + constants.signals[name])));
try {
  await main();
} finally {
  await leave();
}

/** Leaves nothing behind, also when it is interrupted. */
async function leave(): Promise<void> {
  await cleanUp();
  rmSync(folder, { recursive: true, force: true });
}

async function main(): Promise<void> {
  const stage = new Stage(folder, values.cli);
  const raw = rows.some(({ measure }) => measure.on === 'raw') ? await rawEngines(folder, names, say) : [];
  const about = {
    date: new Date().toISOString().slice(0, 10),
    machine: machine(),
    versions: {
      ...Object.fromEntries(engines.map((engine) => [engine.name, engine.version()])),
      ...npmVersions(raw),
    },
    plan,
  };
  const before = stealTicks();
  const measured: Measured[] = [];
  for (const row of rows) {
    measured.push({ row, samples: await measure(row, stage, raw) });
    // After each row: a run takes long, and one that is interrupted has been of use.
    write({ ...about, stolen: stolenSince(before), rows: asJson(measured, names) });
  }
  process.stdout.write(`${preamble(about, stolenSince(before))}\n\n${tables(measured, names)}\n`);
}

function measure(row: Row, stage: Stage, raw: readonly RawEngine[]): Promise<Map<string, Sample[]>> {
  return row.measure.on === 'raw'
    ? measureRawRow(row, row.measure, raw, plan, progress)
    : measureRow(row, engines, stage, plan, progress);
}

/** The share of CPU time that the hypervisor kept. */
function stolenSince(before: ReturnType<typeof stealTicks>): number {
  const now = stealTicks();
  return (now.stolen - before.stolen) / Math.max(1, now.all - before.all);
}

function write(result: object): void {
  mkdirSync(dirname(values.json), { recursive: true });
  writeFileSync(values.json, `${JSON.stringify(result, null, 2)}\n`);
}

function say(text: string): void {
  process.stderr.write(`${text}\n`);
}

/** What every table is about: machine, versions, and how the numbers were made. */
function preamble(
  about: { date: string; machine: Record<string, string>; versions: Record<string, string> },
  stolen: number,
): string {
  return [
    `${about.date}, ${Object.values(about.machine).join(', ')}; ${(stolen * 100).toFixed(1)} % of the CPU stolen.`,
    `${Object.entries(about.versions).map(named).join('; ')}.`,
    `Medians of ${plan.rounds} interleaved rounds of ${plan.seconds} s, after at least ${plan.warmSeconds} s of the same load;`,
    'behind a dot the median of our ratio to that engine in each round, with quartiles.',
  ].join('\n');
}

/** The version of a package begins with its name, which may be the engine's. */
function named([name, version]: [string, string]): string {
  return version.startsWith(`${name} `) ? version : `${name}: ${version}`;
}

function progress(row: Row, engine: string, round: number, result: Values | string): void {
  const text =
    typeof result === 'string'
      ? `failed: ${result}`
      : Object.entries(row.figures)
          .map(([key, { unit }]) => `${digits(result[key] ?? Number.NaN)} ${unit}`)
          .join(', ');
  const when = round < 0 ? 'warm-up' : `round ${round + 1}/${plan.rounds}`;
  const share = `row ${rows.indexOf(row) + 1}/${rows.length}`;
  say(`${share.padEnd(9)}  ${when}  ${row.id.padEnd(16)} ${engine.padEnd(12)} ${text}`);
}

/** Of `all` those that were named, in their own order; everything when nothing was named. */
function chosen<T>(all: readonly T[], text: string | undefined, nameOf: (one: T) => string): readonly T[] {
  if (text === undefined) return all;
  const wanted = new Set(text.split(','));
  for (const one of wanted)
    if (!all.some((each) => nameOf(each) === one))
      throw new Error(`"${one}" is none of ${all.map(nameOf).join(', ')}`);
  return all.filter((each) => wanted.has(nameOf(each)));
}
