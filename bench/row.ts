// What a run of the benchmarks is made of.

/** `ns`: nanoseconds of one operation; `bytes`: of heap for a frame; `collections` and `ms`: for a million frames. */
export type Unit = 'ns' | 'frames/s' | 'bytes' | 'collections' | 'ms';

/** One figure. `part` and `name` together are its identity from run to run. */
export interface Row {
  readonly part: string;
  readonly name: string;
  readonly value: number;
  readonly unit: Unit;
  /** Payload bytes of one operation or frame, where there are any. */
  readonly bytes?: number;
  /** Median deviation from the median, as a fraction of it. */
  readonly spread?: number;
}

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly system: string;
  readonly node: string;
  readonly v8: string;
  readonly tinybench: string;
  /** Of the last minute, when the run began: what else there was to do. */
  readonly load: number;
}

export interface Run {
  /** ISO 8601. */
  readonly date: string;
  readonly commit: string;
  readonly kernel: 'wasm' | 'js';
  readonly quick: boolean;
  readonly machine: Machine;
  readonly rows: readonly Row[];
}
