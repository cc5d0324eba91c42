// The parts of a run, in order. Each is measured in a process of its own, or several, so that none sees what the compiler
// has learned from another one.

import { collectionRows, trafficWithTrace } from './collections.ts';
import type { Kernel } from './engine.ts';
import { HEAP_FLAGS, measureHeap } from './heap.ts';
import { KINDS, makeKind } from './kinds.ts';
import { measurePath } from './path.ts';
import type { Row } from './row.ts';
import { type MakeStage, measureStage } from './stage.ts';
import { arp } from './stages/arp.ts';
import { capture } from './stages/capture.ts';
import { checksum } from './stages/checksum.ts';
import { dhcp } from './stages/dhcp.ts';
import { flowTable } from './stages/flow-table.ts';
import { flows } from './stages/flows.ts';
import { frames } from './stages/frames.ts';
import { parse } from './stages/parse.ts';

/** How much is measured. */
export interface Effort {
  /** For each case of a stage. */
  readonly caseMs: number;
  /** Does each stage have all its cases, and is there all traffic? Opening 100 000 flows takes seconds. */
  readonly all: boolean;
  /** For each kind of traffic. */
  readonly pathMs: number;
  readonly heapFrames: number;
  readonly traceFrames: number;
}

export const WHOLE: Effort = { all: true, caseMs: 400, pathMs: 1200, heapFrames: 1e6, traceFrames: 1e6 };
export const QUICK: Effort = { all: false, caseMs: 40, pathMs: 120, heapFrames: 1e5, traceFrames: 1e5 };

export type OnStep = (done: number, total: number, name: string) => void;

export interface Part {
  readonly name: string;
  /** Over its table, and what one line of it is about. */
  readonly title: string;
  readonly column: string;
  /** One process for each; their names are those of rows, or ''. */
  readonly runs: readonly string[];
  /** Where not all are wanted. */
  readonly quickRuns: readonly string[];
  /** For Node, in front of the program. */
  readonly flags: readonly string[];
  /** Is it part of a run with `--kernel js`? Where payload is summed. */
  readonly withJs: boolean;
  /** In the child. */
  measure(run: string, kernel: Kernel, effort: Effort, onStep: OnStep): Promise<Row[]>;
  /** In the parent: rows from what the child has printed. */
  fromOutput?(run: string, output: string, effort: Effort): Row[];
}

function stage(name: string, title: string, column: string, withJs: boolean, make: MakeStage): Part {
  return {
    ...{ name, title, column, withJs, runs: [''], quickRuns: [''], flags: [] },
    measure: async (_run, kernel, { caseMs, all }, onStep) =>
      measureStage(name, await make(kernel, all), caseMs, onStep),
  };
}

const ALL_KINDS = Object.keys(KINDS);
/** Kinds whose frames are full: what a frame costs the heap does not depend on its length. */
const HEAP_KINDS = ALL_KINDS.filter((kind) => !/65480| 18 B/.test(kind));

const path: Part = {
  ...{ name: 'path', title: 'Path, with the event loop', column: 'frames a second of the processor' },
  ...{ withJs: true, runs: ALL_KINDS, quickRuns: ALL_KINDS.slice(0, 2), flags: [] },
  measure: async (run, kernel, { pathMs }) => [await measurePath(run, await makeKind(run, kernel), pathMs)],
};

const heap: Part = {
  ...{ name: 'heap', title: 'Heap', column: 'bytes for a data frame' },
  ...{ withJs: false, runs: HEAP_KINDS, quickRuns: HEAP_KINDS.slice(0, 2), flags: HEAP_FLAGS },
  measure: async (run, kernel, { heapFrames }) => measureHeap(run, await makeKind(run, kernel), heapFrames),
};

const collections: Part = {
  ...{
    name: 'collections',
    title: 'Garbage collections, by --trace-gc',
    column: 'for a million data frames',
  },
  ...{ withJs: false, runs: HEAP_KINDS, quickRuns: HEAP_KINDS.slice(0, 2), flags: [] },
  measure: async (run, kernel, { traceFrames }) => {
    await trafficWithTrace(await makeKind(run, kernel), traceFrames);
    return [];
  },
  fromOutput: (run, output, { traceFrames }) => collectionRows(run, output, traceFrames),
};

export const PARTS: readonly Part[] = [
  stage('checksum', 'Checksum', 'a call', true, checksum),
  stage('parse', 'Headers', 'a header', true, parse),
  stage('flow-table', 'Flow table', 'a lookup', false, flowTable),
  stage('dhcp', 'DHCP, frame to frame', 'a message', false, dhcp),
  stage('arp', 'ARP, frame to frame', 'a frame', false, arp),
  stage('frames', 'Frames by size', 'a frame', true, frames),
  stage('flows', 'Frames by number of flows', 'a frame', false, flows),
  stage('capture', 'Capture of TCP guest to host, 1460 B', 'a frame', false, capture),
  path,
  heap,
  collections,
];
