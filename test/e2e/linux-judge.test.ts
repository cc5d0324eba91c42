// Linux's TCP as the guest and Linux's TCP as the measure, both ends of each on cubic: every byte through a link that
// loses and reorders, at no less than 0.8 of what two Linuxes reach on the same link; and a clean link that looks clean.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { FaultOptions } from '../../src/link/fault-options.ts';
import type { FaultStats } from '../../src/link/fault-stats.ts';
import { parseLinkSpec } from '../../src/node/link-spec.ts';
import { expectNoLoss } from './support/capture.ts';
import { type Direction, faultsIn, Judge, type JudgeOptions, type Transfer } from './support/judge.ts';
import { describeWithTap } from './support/requirements.ts';

const MIB = 1 << 20;
const DIRECTIONS: readonly Direction[] = ['guest to host', 'host to guest'];
const LIMIT_MS = 170_000;
/** At 1 % loss the share of what Linux reaches. */
const SHARE = 0.8;
/** With a queue of eight frames the share of what a long one gives. */
const SHALLOW_SHARE = 0.7;
const SEEDS = [1, 2, 3];

/** The sizes of `npm run soak` instead of those of every day. */
const soak = process.env['USERNET_SOAK'] === '1';

/** Also that the link has been as bad as it was told to be. */
async function bothWays(options: JudgeOptions, bytes: number): Promise<Transfer[]> {
  const judge = await Judge.open(options);
  const done: Transfer[] = [];
  let trip = 0;
  let printed = '';
  try {
    trip = await judge.roundTrip();
    for (const direction of DIRECTIONS)
      done.push(await judge.transfer(direction, bytes, LIMIT_MS * (soak ? 10 : 1)));
  } finally {
    printed = await judge.close();
  }
  const link = parseLinkSpec(`tap:guest,${options.faults}`);
  expectFaults(link.faults ?? {}, faultsIn(printed), judge.describe());
  expectSlowness(link.faults ?? {}, trip, done, judge.describe());
  return done;
}

function expectFaults(asked: FaultOptions, stats: FaultStats | null, what: string): void {
  const { loss = 0, reorder = 0, queue } = asked;
  const lanes = stats === null ? [] : [stats.toGuest, stats.fromGuest];
  expect(lanes.length, `${what}: a link with faults`).toBe(2);
  for (const { lost, reordered, passed, queueFull, noMemory, cutOff } of lanes) {
    const frames = lost + passed + queueFull + noMemory + cutOff;
    expect(frames, what).toBeGreaterThan(100);
    // Five standard deviations.
    const slack = 5 * Math.sqrt(frames * loss * (1 - loss));
    expect(Math.abs(lost - frames * loss), `${what}: lost`).toBeLessThanOrEqual(slack);
    if (reorder === 0) expect(reordered, `${what}: reordered`).toBe(0);
    // Not all of those that are picked find anything to overtake.
    else expect(reordered, `${what}: reordered`).toBeGreaterThan((frames * reorder) / 10);
  }
  if (loss > 0) for (const { lost } of lanes) expect(lost, `${what}: lost`).toBeGreaterThan(0);
  const dropped = lanes.reduce((sum, { queueFull }) => sum + queueFull, 0);
  if (queue === 8) expect(dropped, `${what}: dropped by the queue`).toBeGreaterThan(0);
}

/** `trip`: the shortest of some, in ms. What is reordered skips the delay. */
function expectSlowness(asked: FaultOptions, trip: number, done: readonly Transfer[], what: string): void {
  const { delay = 0, reorder = 0, rate = Number.POSITIVE_INFINITY } = asked;
  if (reorder === 0) expect(trip, `${what}: round trip`).toBeGreaterThanOrEqual(2 * delay);
  for (const { mbits } of done) expect(mbits * 1e6, `${what}: rate`).toBeLessThanOrEqual(rate);
}

/** Like Promise.all(), but one that fails leaves the others their time to end what they have begun. */
async function allOf<T>(parts: readonly Promise<T>[]): Promise<T[]> {
  await Promise.allSettled(parts);
  return Promise.all(parts);
}

function say(what: string, transfers: readonly Transfer[]): void {
  const figures = transfers.map((one) => `${one.direction} ${one.mbits.toFixed(1)}`).join(', ');
  process.stdout.write(`${what}: ${figures} Mbit/s (cubic)\n`);
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1]!;
}

/** Loss and MiB of every day, each with and without reordering. */
const SETTINGS = [
  { loss: 0, mib: 50 },
  { loss: 1, mib: 10 },
  { loss: 5, mib: 2 },
].flatMap(({ loss, mib }) =>
  ['', ',reorder=25%'].map((more) => ({ faults: `loss=${loss}%,delay=10ms${more}`, mib })),
);

/** Goodput of both directions through a narrow place with a queue of eight frames, and what share of that with a thousand. */
async function throughShallowQueue(kind: JudgeOptions['kind']): Promise<number[]> {
  const [few, many] = [[], []] as [Transfer[], Transfer[]];
  for (const [queue, into] of [
    [8, few],
    [1000, many],
  ] as const) {
    into.push(...(await bothWays({ kind, faults: `rate=100mbit,delay=1ms,queue=${queue}` }, 20 * MIB)));
    say(`${kind}, rate=100mbit,delay=1ms,queue=${queue}`, into);
  }
  for (const { intact } of [...few, ...many]) expect(intact).toBe(true);
  return few.map((one, i) => one.mbits / many[i]!.mbits);
}

/** Linux as the guest, and two Linuxes on the same link, in turn. */
async function compareShallowQueues(): Promise<void> {
  const ours: number[][] = [];
  const theirs: number[][] = [];
  for (const _ of SEEDS) {
    ours.push(await throughShallowQueue('usernet'));
    theirs.push(await throughShallowQueue('linux'));
  }
  const [up, down] = DIRECTIONS.map((_, i) => median(ours.map((shares) => shares[i]!)));
  const [linuxUp, linuxDown] = DIRECTIONS.map((_, i) => median(theirs.map((shares) => shares[i]!)));
  const figures = [down, up, linuxDown, linuxUp].map((share) => share!.toFixed(2));
  process.stdout.write(`queue=8 of queue=1000, down and up: ${figures.join(', ')} (the last two: Linux)\n`);
  expect(down).toBeGreaterThanOrEqual(SHALLOW_SHARE);
  expect(up).toBeGreaterThanOrEqual(Math.min(SHALLOW_SHARE, linuxUp!));
}

/** Both directions over a good link, as a capture. */
async function captureCleanLink(file: string): Promise<void> {
  const judge = await Judge.open({ kind: 'usernet', args: ['--pcap', file] });
  try {
    for (const direction of DIRECTIONS)
      expect(await judge.transfer(direction, 16 * MIB, 60_000)).toMatchObject({ intact: true });
  } finally {
    await judge.close();
  }
}

describeWithTap('Linux as the judge', ['tshark'], () => {
  test(
    'loss 0, 1 and 5 %, 10 ms each way, with and without reordering: what arrives is what was sent',
    async () => {
      // Each waits for its own link most of the time, so all of them at once.
      const results = await allOf(
        SETTINGS.map(async ({ faults, mib }) => {
          const transfers = await bothWays(
            { kind: 'usernet', faults: `${faults},seed=7` },
            (soak ? 50 : mib) * MIB,
          );
          say(faults, transfers);
          return transfers;
        }),
      );
      for (const transfers of results) {
        expect(transfers.map(({ direction, intact }) => ({ direction, intact }))).toEqual(
          DIRECTIONS.map((direction) => ({ direction, intact: true })),
        );
      }
    },
    LIMIT_MS * (soak ? 20 : 2),
  );

  test(
    `1 % loss: at least ${SHARE} of what two Linuxes reach through our switch with the same faults`,
    async () => {
      const faults = (seed: number) => `loss=1%,delay=10ms,seed=${seed}`;
      const pairs = await allOf(
        SEEDS.map(async (seed) => {
          const [ours, theirs] = await allOf(
            (['usernet', 'linux'] as const).map((kind) => bothWays({ kind, faults: faults(seed) }, 10 * MIB)),
          );
          say(`usernet, seed ${seed}`, ours!);
          say(`linux, seed ${seed}`, theirs!);
          return { ours: ours!, theirs: theirs! };
        }),
      );
      for (const [i, direction] of DIRECTIONS.entries()) {
        const shares = pairs.map(({ ours, theirs }) => ours[i]!.mbits / theirs[i]!.mbits);
        process.stdout.write(
          `${direction}: ${shares.map((share) => share.toFixed(2)).join(', ')} of Linux\n`,
        );
        expect(median(shares), direction).toBeGreaterThanOrEqual(SHARE);
      }
    },
    LIMIT_MS * 2,
  );

  // One at a time: a link with a rate keeps a CPU busy, and is late when it has none. Upwards it is Linux that sends: there
  // two Linuxes on the same link, in the same run, say how much can be asked.
  test(
    `rate=100mbit,delay=1ms: a queue of eight frames reaches ${SHALLOW_SHARE} of what one of a thousand does`,
    compareShallowQueues,
    LIMIT_MS * 2,
  );

  test('on a clean link tshark finds nothing lost, sent again or out of order', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'usernet-judge-'));
    try {
      const file = join(folder, 'clean.pcap');
      await captureCleanLink(file);
      expectNoLoss(file);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }, 120_000);
});
