// Which branches have run, by V8's own block counts: what c8 goes by, taken in this process through the inspector.

import { readFileSync } from 'node:fs';
import { Session } from 'node:inspector';
import { pathToFileURL } from 'node:url';
import { type Branch, branchesOf } from './branches.ts';

interface Range {
  readonly startOffset: number;
  readonly endOffset: number;
  readonly count: number;
}

interface Taken {
  readonly result: readonly {
    readonly url: string;
    readonly functions: readonly { readonly isBlockCoverage: boolean; readonly ranges: readonly Range[] }[];
  }[];
}

export interface Share {
  readonly covered: number;
  readonly all: number;
}

export class Meter {
  readonly branches: readonly Branch[];
  private readonly session = new Session();
  private readonly url: string;
  /** Offsets whose counts are wanted, in order, each once, and where a branch finds its own among them. */
  private readonly offsets: readonly number[];
  private readonly places: readonly (readonly [own: number, insteadOf: number])[];

  /** Counts from now on, in the bundle at `path`, which is not loaded yet. */
  constructor(path: string, folders: readonly string[]) {
    this.url = pathToFileURL(path).href;
    this.branches = branchesOf(readFileSync(path, 'utf8'), folders);
    const wanted = new Set(this.branches.flatMap(({ start, insteadOf }) => [start, insteadOf]));
    wanted.delete(-1);
    this.offsets = [...wanted].sort((a, b) => a - b);
    const placeOf = new Map(this.offsets.map((offset, i) => [offset, i]));
    this.places = this.branches.map(({ start, insteadOf }) => [
      placeOf.get(start)!,
      placeOf.get(insteadOf) ?? -1,
    ]);
    this.session.connect();
    this.post('Profiler.enable');
    this.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true });
  }

  /** Indices of the branches that have run since the last call. */
  take(): Set<number> {
    const counts = this.counts();
    const hits = new Set<number>();
    for (const [i, [own, insteadOf]] of this.places.entries()) {
      const count = insteadOf < 0 ? counts[own]! : counts[own]! - counts[insteadOf]!;
      if (count > 0) hits.add(i);
    }
    return hits;
  }

  /** Of the branches of a folder, how many are among those that `isCovered` says are. */
  share(folder: string, isCovered: (i: number) => boolean): Share {
    const own = [...this.branches.keys()].filter((i) => this.branches[i]!.file.startsWith(folder));
    return { covered: own.filter(isCovered).length, all: own.length };
  }

  stop(): void {
    this.post('Profiler.stopPreciseCoverage');
    this.session.disconnect();
  }

  /** How often what is at each of `offsets` has run since the last call. */
  private counts(): Int32Array {
    const { result } = this.post('Profiler.takePreciseCoverage') as unknown as Taken;
    const counts = new Int32Array(this.offsets.length);
    const script = result.find(({ url }) => url === this.url);
    if (script === undefined) return counts;
    const ranges = script.functions.flatMap((one) => one.ranges);
    // An outer range before what is in it: what is written last is the innermost.
    ranges.sort((a, b) => a.startOffset - b.startOffset || b.endOffset - a.endOffset);
    for (const { startOffset, endOffset, count } of ranges) {
      for (let i = this.firstAt(startOffset); i < this.offsets.length && this.offsets[i]! < endOffset; i++)
        counts[i] = count;
    }
    return counts;
  }

  private firstAt(offset: number): number {
    let low = 0;
    let high = this.offsets.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.offsets[middle]! < offset) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  private post(method: string, params: object = {}): object {
    let answer: object = {};
    this.session.post(method, params, (error: Error | null, result?: object) => {
      if (error !== null) throw error;
      answer = result ?? {};
    });
    return answer;
  }
}
