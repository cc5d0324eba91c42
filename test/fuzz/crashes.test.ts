// Runs that failed once do not fail any more. And what fails is noticed: the fuzzer's own senses, each deceived on
// purpose.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import { FRAMES } from '../support/frames.ts';
import { Failure, play } from './campaign.ts';
import { crashFolder, loadScripts, saveCrash } from './crashes.ts';
import { type Op, opOf, opText, type Script } from './ops.ts';
import { shrink } from './shrink.ts';
import { World } from './world.ts';
import { worldOf } from './worlds.ts';

/** Frames of the DHCP exchange that each run ends with. */
const EXCHANGE = 2;

const scripts = loadScripts(crashFolder(resolve(import.meta.dirname, '../..')));

test.each(scripts)('$name does not fail any more', async ({ script }) => {
  const world = await play(script, 0, script.ops.length > 2000 ? 64 : 1);
  expect(world.framesIn).toBeGreaterThanOrEqual(script.ops.filter((op) => op.kind === 'frame').length);
});

function frameOp(bytes: Uint8Array, joined = false): Op {
  return { kind: 'frame', guest: 0, rebased: true, joined, bytes };
}

async function usual(): Promise<World> {
  const world = await World.create(worldOf('usual'), 1);
  for (const bytes of Object.values(FRAMES)) world.apply(frameOp(bytes));
  world.check();
  return world;
}

describe('it is noticed', () => {
  test('not, where nothing is wrong', async () => {
    const world = await usual();
    await world.finish();
    expect(world.framesIn).toBe(Object.keys(FRAMES).length + EXCHANGE);
  });

  test('when a frame leaves that nobody has written', async () => {
    const { links, network } = await usual();
    network.turn.run(() => {
      links[0]!.reserve(100);
      expect(() => links[0]!.commit(100)).toThrow('bytes of free arena');
    });
  });

  test('when the host is given what nobody has written', async () => {
    const { host, network } = await usual();
    const off = network.arena.take(4096, network.arena.scratchAccount);
    expect(() => host.took(off, 64)).toThrow('bytes of free arena');
  });

  test('when a block is written to that was given back', async () => {
    const world = await usual();
    const { arena } = world.network;
    const off = arena.take(4096, arena.scratchAccount);
    arena.give(off, 4096, arena.scratchAccount);
    arena.memory.bytes[off + 4000] = 1;
    expect(() => arena.take(4096, arena.scratchAccount)).toThrow('was written to');
    expect(() => world.watch.checkFree()).toThrow('was written to');
  });

  test('when a block stays behind', async () => {
    const world = await usual();
    world.network.arena.take(4096, world.network.arena.scratchAccount);
    await expect(world.finish()).rejects.toThrow('arena after the end');
  });

  test('when a frame has no verdict, or two', async () => {
    const world = await usual();
    world.framesIn++;
    expect(() => world.check()).toThrow('verdicts and frames');
  });

  test('when a checksum that was sent is wrong', async () => {
    const { links, network } = await usual();
    const { bytes } = network.arena.memory;
    network.turn.run(() => {
      const at = links[0]!.reserve(100);
      bytes.set(FRAMES.arpReply.subarray(6, 12), at + 6);
      bytes.set(FRAMES.tcpData.subarray(12), at + 12);
      bytes[at + 60] = 7;
      expect(() => links[0]!.commit(71)).toThrow('a bad checksum was sent');
    });
  });
});

describe('what failed', () => {
  const ops = Array.from({ length: 100 }, (_, micros): Op => ({ kind: 'time', micros }));
  const script: Script = { world: 'usual', seed: 3, ops };

  test('is made short: only what it needs to fail is left', async () => {
    const needs = [17, 60, 61];
    const fails = async ({ ops: left }: Script): Promise<string | null> => {
      const micros = left.map((op) => (op.kind === 'time' ? op.micros : -1));
      return needs.every((one) => micros.includes(one)) ? 'it fails' : null;
    };
    const short = await shrink(script, performance.now() + 10_000, fails);
    expect(short?.ops.map((op) => (op.kind === 'time' ? op.micros : -1))).toEqual(needs);
    expect(await shrink({ ...script, ops: [] }, performance.now() + 1000, fails)).toBeNull();
  });

  test('is saved as a file, and told of with its seed, frame and last ops', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'usernet-fuzz-'));
    const told: string[] = [];
    const whole: Script = {
      ...script,
      ops: [...ops, frameOp(FRAMES.arpRequest, true), frameOp(FRAMES.udpEcho)],
    };
    await saveCrash(new Failure(new Error('oh'), whole, true, 77), folder, (line) => told.push(line));
    expect(told.join('\n')).toContain('usual, seed 3, frame 77: Error: oh');
    expect(told.join('\n')).toContain('guest 0: ARP, Request who-has 10.0.2.2');
    expect(loadScripts(folder).map((one) => one.script)).toEqual([whole]);
    rmSync(folder, { recursive: true });
  });

  test('every kind of op is the same when it was text', () => {
    const all: Op[] = [
      frameOp(FRAMES.tcpSyn),
      { ...frameOp(FRAMES.tcpSyn, true), rebased: false } as Op,
      { kind: 'time', micros: 5 },
      { kind: 'host', act: 'give', which: 1, amount: 2 },
      { kind: 'link', guest: 2, act: 'down' },
    ];
    for (const op of all) expect(opOf(JSON.parse(opText(op)) as (string | number)[])).toEqual(op);
  });
});
