// What a data frame costs of the heap, by its own counters: bytes that are allocated for it, garbage or not, and bytes that
// are still there when all garbage has been collected. Needs `--expose-gc`, and a young generation so large that nothing
// is collected meanwhile (HEAP_FLAGS).

import { type Kind, pump } from './kinds.ts';
import type { Row } from './row.ts';

export const HEAP_FLAGS = ['--expose-gc', '--min-semi-space-size=64', '--max-semi-space-size=64'];

const PARTS = 10;

/** Over at least `frames` data frames, and half as many before, for the compiler. */
export async function measureHeap(name: string, { traffic, verify }: Kind, frames: number): Promise<Row[]> {
  await pump(traffic, (done) => done >= frames / 2);
  const before = await afterCollecting();
  let total = 0;
  let counted = 0;
  let allocated = 0;
  for (let i = 0; i < PARTS; i++) {
    const since = process.memoryUsage().heapUsed;
    const done = await pump(traffic, (so) => so >= frames / PARTS);
    const more = process.memoryUsage().heapUsed - since;
    total += done;
    // Less than before: something was collected after all, and what was allocated is not known.
    if (more < 0) continue;
    allocated += more;
    counted += done;
  }
  if (counted === 0) throw new Error(`${name}: the heap was collected all the time`);
  const kept = (await afterCollecting()) - before;
  await verify();
  return [
    { part: 'heap', name: `${name}: allocated`, value: allocated / counted, unit: 'bytes' },
    { part: 'heap', name: `${name}: kept`, value: Math.max(0, kept) / total, unit: 'bytes' },
  ];
}

/** Bytes of the heap in use when what can go has gone. */
async function afterCollecting(): Promise<number> {
  if (globalThis.gc === undefined) throw new Error('needs --expose-gc');
  for (let i = 0; i < 3; i++) {
    globalThis.gc();
    // What a collection has made ready to be finalized is, in the next round of the event loop.
    await new Promise(setImmediate);
  }
  return process.memoryUsage().heapUsed;
}
