// A stage of the packet path, measured by tinybench: named cases, each a function that does its work many times a call, so
// that the clock's own time does not show. Medians.

import { Bench } from 'tinybench';
import type { Kernel } from './engine.ts';
import type { Row } from './row.ts';

export interface Case {
  readonly name: string;
  /** How many operations one call does. */
  readonly ops: number;
  /** Payload bytes of one operation; 0 where that means nothing. */
  readonly bytes: number;
  readonly call: () => void;
}

export interface Stage {
  readonly cases: readonly Case[];
  /** Called behind the last case: throws when what was measured was not what it should have been. */
  readonly verify?: () => void | Promise<void>;
}

/** `all`: also the cases that take seconds to set up. */
export type MakeStage = (kernel: Kernel, all: boolean) => Stage | Promise<Stage>;

/**
 * `timeMs` for each case, and a quarter more to warm up: all of them before the first is measured, so that the order of
 * cases which share their code makes no difference. `onStep` is told of each case that is done.
 */
export async function measureStage(
  part: string,
  stage: Stage,
  timeMs: number,
  onStep: (done: number, total: number, name: string) => void,
): Promise<Row[]> {
  for (const { call } of stage.cases) warmUp(call, timeMs / 4);
  const rows: Row[] = [];
  for (const [i, each] of stage.cases.entries()) {
    rows.push(await measureCase(part, each, timeMs));
    onStep(i + 1, stage.cases.length, each.name);
  }
  await stage.verify?.();
  return rows;
}

function warmUp(call: () => void, timeMs: number): void {
  const since = performance.now();
  while (performance.now() - since < timeMs) call();
}

async function measureCase(part: string, { name, ops, bytes, call }: Case, timeMs: number): Promise<Row> {
  const bench = new Bench({ time: timeMs, warmup: false, throws: true });
  bench.add(name, call);
  await bench.run();
  const result = bench.getTask(name)?.result;
  if (result === undefined || !('latency' in result)) throw new Error(`${part}: ${name} did not run`);
  const { p50, mad } = result.latency;
  return { part, name, value: (p50 * 1e6) / ops, unit: 'ns', spread: mad / p50, ...(bytes > 0 && { bytes }) };
}
