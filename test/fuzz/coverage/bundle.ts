import { mkdirSync } from 'node:fs';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build } from 'esbuild';
import type * as targets from './targets.ts';

export type Targets = typeof targets;
export type { ByteTarget } from './targets.ts';

/** Bundles targets.ts with all that it runs; the path of the bundle, which is not loaded yet. */
export async function bundleTargets(root: string): Promise<string> {
  const folder = resolve(root, 'node_modules/.cache/usernet');
  mkdirSync(folder, { recursive: true });
  const outfile = resolve(folder, `fuzz-targets.${process.pid}.mjs`);
  await build({
    entryPoints: [resolve(root, 'test/fuzz/coverage/targets.ts')],
    absWorkingDir: root,
    outfile,
    bundle: true,
    platform: 'node',
    format: 'esm',
    target: 'node20',
    packages: 'external',
    // What nothing uses is not run, and counts.
    treeShaking: false,
    logLevel: 'warning',
  });
  return outfile;
}

export async function loadTargets(path: string): Promise<Targets> {
  return (await import(pathToFileURL(path).href)) as Targets;
}
