// npm run captures: records the captures of pcaps/ again, all of them or the ones that are named.
//
//   npm run captures                 all
//   npm run captures -- NAME ...     these; a NAME is a file's name without its extension, or how several names begin
//   npm run captures -- --list       their names
//
// Needs Linux, root, dist/, and the Debian packages that pcaps/README.md names; a recording that fails says so in a line,
// and the others are made all the same. Each file is written anew, and so is its row in pcaps/README.md.
//
// Nothing of this machine's network gets into a capture: the program starts itself again in namespaces of its own, where
// the host is nothing but loopback and a few documentation addresses (world.ts). They vanish with it.

import { spawnSync } from 'node:child_process';
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { readCapture } from '../../src/pcap/reader.ts';
import { rowOf, withRow } from './readme.ts';
import type { Scene } from './scene.ts';
import { fileOf, scenes } from './scenes.ts';
import { World } from './world.ts';

const INSIDE = '--inside';
const NAMESPACES = ['--net', '--mount', '--uts', '--pid', '--fork', '--kill-child', '--mount-proc'];

const root = resolve(dirname(process.argv[1]!), '../..');

/** Starts this program in namespaces of its own; its exit status is ours. */
function enter(args: readonly string[]): void {
  const again = [process.execPath, join(root, 'tools/run.mjs'), process.argv[1]!, INSIDE, ...args];
  const done = spawnSync('unshare', [...NAMESPACES, ...again], { stdio: 'inherit' });
  if (done.error !== undefined) process.stderr.write(`captures: unshare: ${done.error.message}\n`);
  process.exitCode = done.status ?? 1;
}

/** What `names` choose; all if none is named. */
function chosen(names: readonly string[]): Scene[] {
  for (const name of names) {
    if (scenes.some((scene) => scene.name.startsWith(name))) continue;
    process.stderr.write(`captures: no capture is named ${name}; --list has the names\n`);
    process.exit(2);
  }
  return scenes.filter(({ name }) => names.length === 0 || names.some((begin) => name.startsWith(begin)));
}

/** Those of `wanted` that can be recorded; what the others lack is said. */
async function prepared(wanted: readonly Scene[]): Promise<Scene[]> {
  const failed = new Set<Scene['prepare']>();
  for (const prepare of new Set(wanted.map((scene) => scene.prepare))) {
    try {
      await prepare?.(root);
    } catch (error) {
      failed.add(prepare);
      process.stderr.write(`captures: ${(error as Error).message}\n`);
    }
  }
  return wanted.filter((scene) => !failed.has(scene.prepare));
}

async function record(world: World, scene: Scene): Promise<void> {
  const folder = join(root, 'pcaps');
  const name = fileOf(scene);
  const draft = join(world.drafts, name);
  await scene.record(world, draft);
  const bytes = readFileSync(draft);
  const { frames, damage } = readCapture(bytes);
  if (damage !== null) throw new Error(`${name}: ${damage.reason} at byte ${damage.offset}`);
  if (frames.length === 0) throw new Error(`${name}: nothing was captured`);
  const file = join(folder, name);
  writeFileSync(`${file}.new`, bytes, { mode: 0o644 });
  renameSync(`${file}.new`, file);
  rmSync(draft);
  const readme = join(folder, 'README.md');
  writeFileSync(readme, withRow(readFileSync(readme, 'utf8'), rowOf(root, name, frames.length, scene)));
  process.stdout.write(`${name}: ${frames.length} frames, ${bytes.length} bytes\n`);
}

async function main(args: readonly string[]): Promise<void> {
  if (args.includes('--list')) {
    for (const { name } of scenes) process.stdout.write(`${name}\n`);
    return;
  }
  const isInside = args[0] === INSIDE;
  const wanted = chosen(isInside ? args.slice(1) : args);
  if (!isInside) {
    const ready = await prepared(wanted);
    if (ready.length > 0) enter(ready.map(({ name }) => name));
    if (ready.length < wanted.length) process.exitCode = 1;
    return;
  }
  const world = await World.open(root);
  try {
    for (const scene of wanted) {
      try {
        await record(world, scene);
      } catch (error) {
        process.stderr.write(`captures: ${scene.name}: ${(error as Error).message}\n`);
        process.exitCode = 1;
      } finally {
        await world.clear();
      }
    }
  } finally {
    await world.close();
  }
}

await main(process.argv.slice(2));
