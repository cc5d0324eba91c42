// Runs that failed once, with their configs written out: they stay what they are when the making of configs changes.
// `npm run sim -- --seed S --keep "what was wrong"` adds one.

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { SimulationConfig } from './config.ts';

export interface FailedOnce {
  /** What was wrong. */
  readonly why: string;
  readonly seed: number;
  readonly config: SimulationConfig;
}

export function readFailed(folder: string): FailedOnce[] {
  return JSON.parse(readFileSync(join(folder, 'failed-once.json'), 'utf8')) as FailedOnce[];
}

export function keepFailed(folder: string, failed: FailedOnce): void {
  const all = [...readFailed(folder), failed];
  writeFileSync(join(folder, 'failed-once.json'), `${JSON.stringify(all, null, 2)}\n`);
}
