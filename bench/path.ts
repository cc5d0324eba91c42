// Frames and bytes per second of the whole path in one process, the event loop included: its timers ring, its immediates
// run, and what garbage there is gets collected. The median of some rounds. A second is one of the processor's for this
// process, its helpers' included: how much of a second others leave to it says nothing about the path.

import { type Kind, pump } from './kinds.ts';
import type { Row } from './row.ts';
import { median } from './statistics.ts';

const ROUNDS = 9;

/** `timeMs` in all; half as much before, to warm up. */
export async function measurePath(name: string, { traffic, verify }: Kind, timeMs: number): Promise<Row> {
  await framesPerSecond(traffic, timeMs / 2);
  const rates: number[] = [];
  for (let i = 0; i < ROUNDS; i++) rates.push(await framesPerSecond(traffic, timeMs / ROUNDS));
  await verify();
  const value = median(rates);
  const spread = median(rates.map((rate) => Math.abs(rate - value))) / value;
  return { part: 'path', name, value, unit: 'frames/s', bytes: traffic.bytes / traffic.frames, spread };
}

async function framesPerSecond(traffic: Kind['traffic'], timeMs: number): Promise<number> {
  const since = process.cpuUsage();
  const frames = await pump(traffic, () => busyMicros(since) >= timeMs * 1000);
  return (frames * 1e6) / busyMicros(since);
}

function busyMicros(since: NodeJS.CpuUsage): number {
  const { user, system } = process.cpuUsage(since);
  return user + system;
}
