// How much of the heap is in use when nothing that can go is left in it.

import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');
const gc = runInNewContext('gc') as () => void;

export interface HeapUse {
  /** Bytes in use. */
  readonly all: number;
  /** Of them machine code that V8 has made; what it remembers beside that is in `all` only. */
  readonly code: number;
}

/** After collecting. */
export async function heapInUse(): Promise<HeapUse> {
  for (let i = 0; i < 3; i++) {
    gc();
    // What a collection has made ready to be finalized is, in the next round of the event loop.
    await new Promise(setImmediate);
  }
  const spaces = getHeapSpaceStatistics().filter(({ space_name: name }) => name.startsWith('code'));
  const code = spaces.reduce((sum, space) => sum + space.space_used_size, 0);
  return { all: process.memoryUsage().heapUsed, code };
}
