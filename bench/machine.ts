// Where and of what a run is.

import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { arch, cpus, loadavg, release, type } from 'node:os';
import { join } from 'node:path';
import type { Machine } from './row.ts';

export function machine(): Machine {
  return {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    system: `${type()} ${release()} ${arch()}`,
    node: process.version,
    v8: process.versions.v8,
    tinybench: tinybenchVersion(),
    load: Math.round(loadavg()[0]! * 100) / 100,
  };
}

/** Its package does not show its package.json: that is looked for beside what it does show. */
function tinybenchVersion(): string {
  const main = createRequire(import.meta.url).resolve('tinybench');
  const parsed = JSON.parse(readFileSync(join(main, '../../package.json'), 'utf8')) as { version: string };
  return parsed.version;
}

/** The commit that is checked out, with a `+` when src/ differs from it. */
export function commit(root: string): string {
  const git = (...args: string[]): string =>
    execFileSync('git', args, { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim();
  try {
    const isClean = git('status', '--porcelain', '--', 'src') === '';
    return `${git('rev-parse', '--short', 'HEAD')}${isClean ? '' : '+'}`;
  } catch {
    return 'unknown';
  }
}
