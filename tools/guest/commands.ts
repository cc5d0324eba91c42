// What the builders of the guests have in common: the commands that they run, and what is in every guest.

import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Entry } from './cpio.ts';

/** Says what is wrong with `what`, and ends. */
export function fail(what: string, message: string): never {
  process.stderr.write(`${what}: ${message}\n`);
  process.exit(1);
}

/** Runs a command in `cwd`; returns its standard output. Where it fails its words are ours, about `what`, and we end. */
export function run(
  what: string,
  command: string,
  args: readonly string[],
  { cwd, env = process.env }: { readonly cwd: string; readonly env?: NodeJS.ProcessEnv },
): string {
  const done = spawnSync(command, args, { cwd, env, encoding: 'utf8', maxBuffer: 1 << 26 });
  if (done.error !== undefined) fail(what, `${command}: ${done.error.message}`);
  if (done.status !== 0) fail(what, `${command} ${args.join(' ')}\n${done.stderr.trim()}`);
  return done.stdout;
}

/** Folders of every guest, and `more`; the init and the agent of `files`; and the busybox below `unpacked`. */
export function baseEntries(files: string, unpacked: string, more: readonly string[] = []): Entry[] {
  const folders = ['bin', 'dev', 'etc', 'modules', 'proc', 'run', 'sys', 'tmp', ...more];
  const script = (path: string, name: string): Entry => {
    return { path, mode: 0o100755, data: readFileSync(join(files, name)) };
  };
  return [
    ...folders.map((path) => ({ path, mode: 0o040755, data: Buffer.alloc(0) })),
    script('init', 'init'),
    script('bin/agent', 'agent'),
    script('bin/lease', 'lease'),
    script('bin/lease-event', 'lease-event'),
    { path: 'etc/hosts', mode: 0o100644, data: Buffer.from('127.0.0.1 localhost\n') },
    { path: 'bin/busybox', mode: 0o100755, data: readFileSync(join(unpacked, 'bin/busybox')) },
  ];
}
