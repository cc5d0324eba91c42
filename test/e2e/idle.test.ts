// What connections cost that do nothing: time of the others, memory, and what is left of them when they are closed. The
// engine has a process of its own, and so have both ends of what it carries, on one CPU: ratios of times are then those
// of the work done. Times of an engine with thousands of idle connections and of one without are taken in turn.

import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openFilesLimit } from '../../src/node/descriptors.ts';
import type { EngineAnswers } from './support/idle-engine.ts';
import type { PeerAnswers } from './support/idle-peer.ts';
import { Pinned } from './support/pinned.ts';
import { poll } from './support/processes.ts';

const IDLE = [1000, 4000, 16_000];
const ROUNDS = 24;
const ECHOES = 60;
const CONNECTS = 24;
const MAX_RATIO = 1.3;
const MAX_HEAP = 4096;
const MAX_RESIDENT = 8192;
/** Rings that are not used give their storage back after a second; TIME-WAIT lasts one here. */
const SETTLED_MS = 10_000;

/** With 16 000 held elsewhere the peer has descriptors for so many. */
const WORK_STEP = 1000;

type Engine = Pinned<EngineAnswers>;

const folder = mkdtempSync(join(tmpdir(), 'usernet-idle-'));
const started: { stop(): Promise<void> }[] = [];
let peer: Pinned<PeerAnswers>;
let loaded: Engine;
let empty: Engine;

async function engine(name: string): Promise<Engine> {
  const path = join(folder, name);
  const running = Pinned.start<EngineAnswers>('test/e2e/support/idle-engine.ts', [path], oneCpu());
  started.push(running);
  await running.ask('counts');
  await peer.ask('plug', name, path);
  // What is made and compiled once is there before anything is measured.
  await peer.ask('churn', name, 2000, 100);
  return running;
}

beforeAll(async () => {
  peer = Pinned.start<PeerAnswers>('test/e2e/support/idle-peer.ts', [], oneCpu());
  started.push(peer);
  loaded = await engine('loaded');
  empty = await engine('empty');
});

afterAll(async () => {
  await Promise.all(started.map((each) => each.stop()));
  rmSync(folder, { recursive: true, force: true });
});

describe('idle connections', () => {
  test('4000 hold at most 4 KiB of heap and arena each, and 8 KiB of resident memory with the socket', async () => {
    const count = 4000;
    await settled(loaded, 1);
    const before = await loaded.ask('held');
    await peer.ask('hold', 'loaded', count);
    const after = await loaded.ask('held');
    expect(after.flows - before.flows).toBe(count);
    const managed = (after.heap - before.heap + after.arena - before.arena) / count;
    const resident = (after.resident - before.resident) / count;
    note(
      `an idle connection: ${Math.round(managed)} B of heap and arena, ${Math.round(resident)} B resident`,
    );
    expect(managed).toBeLessThan(MAX_HEAP);
    expect(resident).toBeLessThan(MAX_RESIDENT);
    await peer.ask('release', 'loaded');
    await settled(loaded, 1);
    await work(count);
  });

  test.for(IDLE)('%i do not slow down an echo or a connect', async (count) => {
    expect(openFilesLimit(), 'open files that a process may have').toBeGreaterThan(count + 1000);
    const more = count - (await loaded.ask('counts')).flows + 1;
    await peer.ask('hold', 'loaded', more);
    await work(more);
    // The young generation that so many connects have left behind is not what an idle connection costs.
    await Promise.all([loaded.ask('held'), empty.ask('held')]);
    const echo: number[] = [];
    const connect: number[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      const order = round % 2 === 0 ? ['loaded', 'empty'] : ['empty', 'loaded'];
      const took = new Map<string, { echo: number; connect: number }>();
      for (const name of order) {
        const echoes = await peer.ask('echo', name, ECHOES);
        took.set(name, { echo: median(echoes), connect: await peer.ask('connect', name, CONNECTS) });
      }
      const [full, none] = [took.get('loaded')!, took.get('empty')!];
      echo.push(full.echo / none.echo);
      connect.push(full.connect / none.connect);
    }
    const ratios = { echo: median(echo), connect: median(connect) };
    note(
      `${count} idle: echo ${ratios.echo.toFixed(2)}, connect ${ratios.connect.toFixed(2)} times the empty engine's`,
    );
    expect(ratios.echo).toBeLessThan(MAX_RATIO);
    expect(ratios.connect).toBeLessThan(MAX_RATIO);
  });

  test('closed, they leave no flow, no timer, no socket and no arena', async () => {
    const link = await arenaOfLink();
    await peer.ask('release', 'loaded');
    await peer.ask('finish', 'loaded');
    await settled(loaded, 0);
    const { arena, timers, sockets } = await loaded.ask('counts');
    expect({ arena, timers, sockets }).toEqual({ arena: link, timers: 0, sockets: 0 });
    expect(await peer.ask('resets', 'loaded')).toBe(0);
  });
});

test('10 000 connects and closes leave heap and handles where they were', async () => {
  await settled(empty, 1);
  const before = await empty.ask('held');
  await peer.ask('churn', 'empty', 10_000, 100);
  await settled(empty, 1);
  const after = await empty.ask('held');
  const { heap, descriptors, resources } = before;
  note(`10 000 connects and closes: heap ${heap} to ${after.heap} B`);
  expect(after).toMatchObject({ flows: 1, sockets: 1, timers: before.timers, arena: before.arena });
  expect(after.heap).toBeLessThan(heap * 1.05);
  expect(after.descriptors).toBeLessThan(descriptors * 1.05);
  expect(after.resources).toBeLessThan(resources * 1.05);
  expect(await peer.ask('resets', 'empty')).toBe(0);
});

/** The empty engine does what the loaded one has done, so that both have the same code compiled. */
async function work(count: number): Promise<void> {
  for (let left = count; left > 0; left -= WORK_STEP) {
    await peer.ask('hold', 'empty', Math.min(WORK_STEP, left));
    await peer.ask('release', 'empty');
  }
  await settled(empty, 1);
}

/** Waits until `count` flows are left, each with its keep-alive timer and its socket, and their rings are given back. */
async function settled(of: Engine, count: number): Promise<void> {
  const link = await arenaOfLink();
  await poll(SETTLED_MS, `${count} flows, and nothing else`, async () => {
    const { flows, timers, sockets, arena } = await of.ask('counts');
    const isIt = flows === count && timers === count && sockets === count && arena === link;
    return isIt || undefined;
  });
}

/** What an engine with one guest holds for its link and its host, whatever flows there are. */
async function arenaOfLink(): Promise<number> {
  linkArena ??= await poll(SETTLED_MS, 'an engine at rest', async () => {
    const { flows, timers, arena } = await empty.ask('counts');
    return flows === 1 && timers === 1 ? arena : undefined;
  });
  return linkArena;
}
let linkArena: number | undefined;

function median(numbers: readonly number[]): number {
  return [...numbers].sort((a, b) => a - b)[numbers.length >> 1]!;
}

/** The first CPU that we may use. */
function oneCpu(): number | null {
  if (process.platform !== 'linux') return null;
  const allowed = /^Cpus_allowed_list:\s+(\d+)/m.exec(readFileSync('/proc/self/status', 'latin1'))?.[1];
  return allowed === undefined ? null : Number(allowed);
}

function note(text: string): void {
  process.stdout.write(`${text}\n`);
}
