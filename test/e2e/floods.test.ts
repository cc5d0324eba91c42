// What a flood costs the other guests of a network, in time of the processor: one process is the engine with a well-behaved
// guest and the servers that it talks to, all of it in one thread; another one floods over a link of its own, with
// frames that were written before, as fast as the link takes them. What the guest moves per second of that thread, beside
// the flood and without it, is what is left to it. The guest's end of its cable has turns
// of the same thread: without the flood, too, they are as long as for two (for TCP that makes no difference, measured).
// test/floods/floods.test.ts has the rest of what a flood must not do: that the guest does not wait, either, is there.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { median } from '../../bench/statistics.ts';
import type { FlooderAnswers } from '../floods/flooder.ts';
import { FLOODS } from '../floods/kinds.ts';
import type { MachineAnswers } from '../floods/machine.ts';
import { Pinned } from './support/pinned.ts';
import { poll } from './support/processes.ts';

const MIB = 1 << 20;
/** Moved in each direction. */
const SIZE_MIB = 16;
const LEAST_SHARE = 0.5;
/** With the flood and without it, in turns; the median counts. */
const ROUNDS = 3;
/** The machine is shared: an attempt that falls short is made again. */
const ATTEMPTS = 3;
/** Over what there is without floods. */
const HEAP_LIMIT = 24 * MIB;
/** Connections of the well-behaved guest. */
const OWN_FLOWS = 2;
/** What a flood may have left has gone by then. */
const CALM_MS = 20_000;
const DIRECTIONS = ['up', 'down'] as const;

/** The machine with its guest, and the guest that floods, each a process. */
class Floods {
  readonly table: string[] = [];
  private readonly folder = mkdtempSync(join(tmpdir(), 'usernet-floods-'));
  private readonly machine: Pinned<MachineAnswers>;
  private flooder: Pinned<FlooderAnswers> | null = null;
  private victim: Awaited<ReturnType<MachineAnswers['victim']>> | null = null;

  constructor() {
    this.machine = Pinned.start<MachineAnswers>('test/floods/machine.ts', [this.path], null);
  }

  private get path(): string {
    return join(this.folder, 's');
  }

  async start(): Promise<void> {
    this.victim = await this.machine.ask('victim');
    this.flooder = Pinned.start<FlooderAnswers>('test/floods/flooder.ts', [this.path], null);
    for (const direction of DIRECTIONS) await this.machine.ask('move', direction, 4 * SIZE_MIB);
  }

  async stop(): Promise<void> {
    await this.flooder?.stop();
    await this.machine.stop();
    rmSync(this.folder, { recursive: true });
  }

  /** What of its throughput the guest keeps, each way; 1: all of it. */
  async share(kind: string): Promise<{ up: number; down: number }> {
    const shares: { up: number; down: number }[] = [];
    for (let round = 0; round < ROUNDS; round++) shares.push(await this.shareOnce(kind));
    return { up: median(shares.map(({ up }) => up)), down: median(shares.map(({ down }) => down)) };
  }

  private async shareOnce(kind: string): Promise<{ up: number; down: number }> {
    await this.calms();
    const alone = await this.costs();
    await this.flooder!.ask('start', kind, this.victim!);
    const flooded = await this.costs();
    // It was a flood: the link took no more.
    expect(await this.flooder!.ask('stop')).toBeGreaterThan(0);
    return { up: alone.up / flooded.up, down: alone.down / flooded.down };
  }

  /** Nothing of the flood is left but what may be: the heap in bytes. */
  async calms(): Promise<number> {
    await poll(CALM_MS, 'only its own flows', async () => {
      const { tcp, udp } = (await this.machine.ask('stats')).flows;
      return tcp === OWN_FLOWS && udp === 0 ? true : undefined;
    });
    return (await this.machine.ask('memory')).heapUsed;
  }

  /** Milliseconds of the thread for each MiB, to the host and from it. */
  private async costs(): Promise<{ up: number; down: number }> {
    const up = await this.machine.ask('move', 'up', SIZE_MIB);
    const down = await this.machine.ask('move', 'down', SIZE_MIB);
    return { up: up.cpuMs / SIZE_MIB, down: down.cpuMs / SIZE_MIB };
  }
}

describe.runIf(process.platform === 'linux')(
  'a guest keeps half of its throughput, whatever another sends',
  () => {
    let floods: Floods;
    let heapBefore: number;

    beforeAll(async () => {
      floods = new Floods();
      await floods.start();
      heapBefore = await floods.calms();
    });

    afterAll(async () => {
      const heading = 'share of its throughput that a guest keeps, to the host and from it';
      process.stdout.write(`${heading}\n${floods.table.join('\n')}\n`);
      await floods.stop();
    });

    test.each(Object.keys(FLOODS))('%s', async (kind) => {
      let share = { up: 0, down: 0 };
      for (let i = 0; i < ATTEMPTS && Math.min(share.up, share.down) < LEAST_SHARE; i++) {
        share = await floods.share(kind);
        expect((await floods.calms()) - heapBefore).toBeLessThan(HEAP_LIMIT);
      }
      floods.table.push(`${share.up.toFixed(2)} ${share.down.toFixed(2)}  ${kind}`);
      expect(share.up).toBeGreaterThan(LEAST_SHARE);
      expect(share.down).toBeGreaterThan(LEAST_SHARE);
    });
  },
);
