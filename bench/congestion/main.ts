// NewReno against CUBIC, on ways that differ in rate, delay, queue and loss. Time is moved by hand: the figures are exact and
// the same on every machine.   node tools/run.mjs bench/congestion/main.ts [--part goodput|fairness|shallow|cost]

import { parseArgs } from 'node:util';
import type { Congestion } from '../../src/tcp/congestion.ts';
import { Cubic } from '../../src/tcp/cubic.ts';
import { NewReno } from '../../src/tcp/newreno.ts';
import { median } from '../statistics.ts';
import { costs } from './cost.ts';
import { type RunConfig, runFlows } from './run.ts';

type Control = () => Congestion;
const newReno: Control = () => new NewReno();
const cubic: Control = () => new Cubic();

const SEEDS = [1, 2, 3];
const BASE = { staggerMs: 2000, fromMs: 0, perAck: 2, flowBytes: 4 << 20 };

const { values } = parseArgs({ options: { part: { type: 'string', default: 'all' } } });

const parts: Record<string, () => string[]> = { goodput, fairness, shallow, cost: costs };
if (values.part !== 'all' && parts[values.part] === undefined) throw new Error(`no part ${values.part}`);
for (const [name, part] of Object.entries(parts))
  if (values.part === name || values.part === 'all') process.stdout.write(`${part().join('\n')}\n\n`);

/** Mbit/s on the wire to bytes per ms. */
function mbit(rate: number): number {
  return (rate * 1000) / 8;
}

/** Median of the seeds. */
function alone(control: Control, config: Omit<RunConfig, 'controls' | 'seed'>): number {
  return median(SEEDS.map((seed) => runFlows({ ...config, controls: [control], seed })[0]!.goodput));
}

function goodput(): string[] {
  const lines = [
    'goodput of one flow, Mbit/s, 20 s from the SYN, median of three seeds; loss in both directions',
    '',
    '| rate | one way | queue | loss | NewReno | CUBIC | ratio |',
    '|---|---|---|---|---|---|---|',
  ];
  for (const rate of [10, 100])
    for (const delayMs of [10, 50, 100])
      for (const queue of [8, 100, 1000])
        for (const loss of [0, 0.001, 0.01, 0.05]) {
          const config = {
            ...BASE,
            way: { rate: mbit(rate), queue, delayMs, loss, grain: 1000 },
            durationMs: 20_000,
          };
          const [reno, other] = [alone(newReno, config), alone(cubic, config)];
          const cells = [rate, `${delayMs} ms`, queue, `${loss * 100} %`, reno.toFixed(2), other.toFixed(2)];
          lines.push(`| ${cells.join(' | ')} | ${(other / reno).toFixed(2)} |`);
        }
  return lines;
}

function fairness(): string[] {
  const lines = [
    'two flows, the second 2 s later; shares of 20 s to 80 s, median of three seeds: first / second flow, and of the rate',
    '',
    '| rate | one way | queue | NewReno + NewReno | CUBIC + CUBIC | CUBIC + NewReno |',
    '|---|---|---|---|---|---|',
  ];
  for (const [rate, delayMs, queue] of [
    [10, 10, 30],
    [10, 50, 100],
    [100, 10, 100],
    [100, 50, 500],
  ] as const) {
    const way = { rate: mbit(rate), queue, delayMs, loss: 0, grain: 1000 };
    const pair = (...controls: Control[]): string => {
      const runs = SEEDS.map((seed) =>
        runFlows({ ...BASE, way, controls, durationMs: 80_000, fromMs: 20_000, seed }),
      );
      const shares = median(runs.map(([a, b]) => a!.goodput / (a!.goodput + b!.goodput)));
      const used = median(runs.map(([a, b]) => (a!.goodput + b!.goodput) / rate));
      return `${(shares * 100).toFixed(0)} / ${(100 - shares * 100).toFixed(0)}, ${(used * 100).toFixed(0)} %`;
    };
    lines.push(
      `| ${rate} | ${delayMs} ms | ${queue} | ${pair(newReno, newReno)} | ${pair(cubic, cubic)} | ${pair(cubic, newReno)} |`,
    );
  }
  return lines;
}

/** A queue of eight frames: how bursts fare. */
function shallow(): string[] {
  const lines = [
    'rate=100mbit,delay=1ms: goodput of 10 s, Mbit/s (retransmissions, timeouts)',
    '',
    '| control | frames come every | ACK every | queue=8 | queue=1000 | ratio |',
    '|---|---|---|---|---|---|',
  ];
  for (const [name, control] of Object.entries({ NewReno: newReno, CUBIC: cubic }))
    for (const [grain, perAck] of [
      [1, 1],
      [1000, 2],
      [1000, 1000],
    ] as const) {
      const run = (queue: number) =>
        runFlows({
          ...{ ...BASE, perAck, controls: [control], seed: 1, durationMs: 10_000, flowBytes: 1 << 20 },
          way: { rate: mbit(100), queue, delayMs: 1, loss: 0, grain },
        })[0]!;
      const [few, many] = [run(8), run(1000)];
      const cell = (r: typeof few): string => `${r.goodput.toFixed(1)} (${r.retransmits}, ${r.timeouts})`;
      const ratio = (few.goodput / many.goodput).toFixed(2);
      lines.push(`| ${name} | ${grain} us | ${perAck} | ${cell(few)} | ${cell(many)} | ${ratio} |`);
    }
  return lines;
}
