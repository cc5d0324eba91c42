// How often V8 collects garbage while frames go through, and how long that takes, as `--trace-gc` tells it. The child that
// makes the traffic turns the flag on for just that time, so that every line is one of ours; V8 prints them to standard
// output, where the parent reads them.

import { setFlagsFromString } from 'node:v8';
import { type Kind, pump } from './kinds.ts';
import type { Row } from './row.ts';

export interface Collection {
  /** 'Scavenge', 'Mark-Compact'. */
  readonly kind: string;
  /** The program stood still for so long, steps of marking before the collection included. */
  readonly ms: number;
}

/** `[3521:0x447bec00]  83 ms: Scavenge 4.4 (4.5) -> 3.9 (5.5) MB, 2.07 / 0.00 ms  (average mu = ...`; newer V8 says more. */
const LINE =
  /^\[\d+:[^\]]*\]\s+\d+ ms: ([A-Z][a-z]+(?:-[A-Z][a-z]+)*) .*-> [\d.]+ \([\d.]+\) MB, .*?([\d.]+) \/ [\d.]+ ms/;
const STEPS = /\(\+ ([\d.]+) ms in \d+ steps/;

/** The collections in what V8 has printed; lines of anybody else are passed over. */
export function parseTrace(text: string): Collection[] {
  return text.split('\n').flatMap((line) => {
    const found = LINE.exec(line);
    if (found === null) return [];
    return [{ kind: found[1]!, ms: Number(found[2]) + Number(STEPS.exec(line)?.[1] ?? 0) }];
  });
}

/** In the child: at least `frames` data frames, traced; half as many before are not. */
export async function trafficWithTrace({ traffic, verify }: Kind, frames: number): Promise<void> {
  await pump(traffic, (done) => done >= frames / 2);
  setFlagsFromString('--trace-gc');
  await pump(traffic, (done) => done >= frames);
  setFlagsFromString('--no-trace-gc');
  await verify();
}

/** In the parent: what the child's output says, for a million frames of about `frames`. */
export function collectionRows(name: string, output: string, frames: number): Row[] {
  const scale = 1e6 / frames;
  const found = parseTrace(output);
  const ms = found.reduce((sum, collection) => sum + collection.ms, 0);
  return [
    { part: 'collections', name, value: found.length * scale, unit: 'collections' },
    { part: 'collections', name: `${name}: time`, value: ms * scale, unit: 'ms' },
  ];
}
