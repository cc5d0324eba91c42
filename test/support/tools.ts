import { spawnSync } from 'node:child_process';
import { test } from 'vitest';

const inCi = !['', '0', 'false', undefined].includes(process.env['CI']);

/**
 * `test` where the program `tool` is installed; elsewhere in CI a failure, and otherwise skipped, which is printed. `timeout`
 * in milliseconds, if not the usual one.
 */
export function testWith(
  tool: string,
  name: string,
  body: () => void | Promise<void>,
  timeout?: number,
): void {
  const found = spawnSync('which', [tool]).status === 0;
  if (!found && inCi) throw new Error(`${name}: there is no ${tool} on this machine`);
  if (!found) process.stderr.write(`\nSKIPPED: ${name}: there is no ${tool} on this machine\n`);
  test.skipIf(!found)(name, body, timeout);
}

/** What `command` prints on standard output. Throws when it fails. */
export function outputOf(command: string, args: readonly string[]): string {
  const run = spawnSync(command, args, { encoding: 'utf8', maxBuffer: 1 << 28 });
  if (run.status !== 0) throw new Error(`${command} ${args.join(' ')}: ${run.stderr}`);
  return run.stdout;
}
