// Run as a program by test/e2e/idle.test.ts: an engine that listens at the unix socket it is told, and says what it holds.

import { readdirSync, readFileSync } from 'node:fs';
import { processDescriptors } from '../../../src/node/descriptors.ts';
import { parseLinkSpec } from '../../../src/node/link-spec.ts';
import { createNodeNetwork } from '../../../src/node/node-network.ts';
import { openQemuPort } from '../../../src/node/qemu-port.ts';
import { answer } from './pinned.ts';

const network = createNodeNetwork({ timeouts: { timeWait: 1000 } });
await network.start();
await openQemuPort(parseLinkSpec(`unix:${process.argv[2]}`), (link) => network.attach(link));

/** What the process holds. Bytes, after garbage collection. */
export interface Held {
  readonly flows: number;
  readonly timers: number;
  /** Host sockets that count against the limit on descriptors. */
  readonly sockets: number;
  readonly descriptors: number;
  /** Node's own count of what keeps a process alive. */
  readonly resources: number;
  readonly arena: number;
  readonly heap: number;
  readonly resident: number;
}

function counts() {
  const { flows, timers, arena } = network.stats();
  return {
    flows: flows.tcp + flows.udp,
    timers,
    sockets: processDescriptors.used,
    descriptors: readdirSync('/proc/self/fd').length,
    resources: process.getActiveResourcesInfo().length,
    arena: arena.used,
  };
}

/** Of a second each. */
const CALM_ROUNDS = 6;

async function held(): Promise<Held> {
  // The young generation grows to 32 MiB under load, however little outlives it. V8 shrinks it when little was allocated
  // between two collections, and gives its pages back with the next ones.
  for (let i = 0; i < CALM_ROUNDS; i++) {
    globalThis.gc?.();
    await new Promise((resolve) => setTimeout(resolve, 1000));
    globalThis.gc?.({ type: 'minor' });
  }
  const resident = /^Rss:\s+(\d+) kB/m.exec(readFileSync('/proc/self/smaps_rollup', 'latin1'))?.[1];
  return { ...counts(), heap: process.memoryUsage().heapUsed, resident: Number(resident) * 1024 };
}

const answers = {
  counts,
  held,
};
export type EngineAnswers = typeof answers;
answer(answers);
