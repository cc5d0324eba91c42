// Some hundred thousand mutated frames; `npm run fuzz` throws as many as one likes.

import { execFile } from 'node:child_process';
import { resolve } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { Campaign } from './campaign.ts';
import { collectSeeds } from './seeds.ts';
import type { Kernel } from './world.ts';

const ROOT = resolve(import.meta.dirname, '../..');
const LIMIT = 180_000;

async function run(salt: number, kernel: Kernel = 'wasm'): Promise<Campaign> {
  const { frames: seeds } = collectSeeds(ROOT, false);
  const campaign = new Campaign({ seed: 4, frames: 60_000, seeds, salt, kernel, life: 3000 });
  await campaign.run();
  return campaign;
}

test(
  'whatever is in free arena, the same frames leave: no byte of it is among them',
  async () => {
    const one = await run(0);
    const other = await run(0x5a);
    expect(one.frames).toBeGreaterThanOrEqual(60_000);
    expect(Object.values(one.verdicts).reduce((a, b) => a + b, 0)).toBe(one.frames);
    expect([other.digest, other.frames, other.sent]).toEqual([one.digest, one.frames, one.sent]);
    expect(other.verdicts).toEqual(one.verdicts);
    expect(one.trains.taken).toBeGreaterThan(one.frames * 0.01);
    expect(one.trains.made).toBeGreaterThan(one.sent * 0.1);
    // Nor does it matter that they go in trains.
    const slow = await run(0, 'js');
    expect(slow.trains).toEqual({ taken: 0, made: 0 });
    expect([slow.digest, slow.frames, slow.sent]).toEqual([one.digest, one.frames, one.sent]);
    expect([slow.verdicts, slow.losses]).toEqual([one.verdicts, one.losses]);
    // They get deep: about half is what somebody wanted, and of TCP most finds its connection.
    expect(one.verdicts['accepted']).toBeGreaterThan(one.frames * 0.4);
    expect(one.verdicts['TcpNoFlow']).toBeLessThan(one.frames * 0.25);
  },
  LIMIT,
);

test(
  'npm run fuzz: verdicts add up to the frames, and the heap is flat',
  async () => {
    // Half of them are the warm-up: before a hundred thousand V8 still compiles, which alone is a few per cent of so little.
    const args = ['tools/run.mjs', 'test/fuzz/main.ts', '--frames', '240000', '--seed', '5', '--own'];
    const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: ROOT });
    expect(stdout).toMatch(/^verdicts: (\d+), as many as frames$/m);
    expect(stdout).toMatch(/^heap in use, MiB: /m);
    expect(stdout).not.toContain('has grown');
  },
  LIMIT,
);
