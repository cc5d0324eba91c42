// What the end-to-end tests need of the machine, and what happens when it is not there: in CI the tests fail, elsewhere
// they are skipped, and the reason is printed.

import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { describe } from 'vitest';

const root = resolve(import.meta.dirname, '../../..');
export const program = join(root, 'dist/usernet.mjs');
const image = join(root, 'tools/guest/build');
export const kernel = join(image, 'vmlinux');
export const initramfs = join(image, 'initramfs.cpio');

const inCi = !['', '0', 'false', undefined].includes(process.env['CI']);

/** The first thing that is missing, or null. Builds the guest's image when it is not there or out of date. */
function missing(tools: readonly string[]): string | null {
  for (const tool of ['qemu-system-x86_64', ...(process.getuid?.() === 0 ? ['setpriv'] : []), ...tools]) {
    if (spawnSync('which', [tool]).status !== 0) return `there is no ${tool} on this machine`;
  }
  if (!existsSync(program)) return 'dist/usernet.mjs is not built: npm run build';
  mkdirSync(image, { recursive: true });
  // One builder at a time.
  const builder = [process.execPath, 'tools/run.mjs', 'tools/guest/build.ts'];
  const built = spawnSync('flock', [join(image, 'lock'), ...builder], { cwd: root, encoding: 'utf8' });
  if (built.status !== 0) return `the guest cannot be built: ${built.stderr?.trim() ?? built.error?.message}`;
  return null;
}

/** `describe`, where QEMU, the guest, the program and `tools` are there. */
export function describeWithGuest(name: string, tools: readonly string[], body: () => void): void {
  const reason = missing(tools);
  if (reason === null) {
    describe(name, body);
    return;
  }
  if (inCi) throw new Error(`${name}: ${reason}`);
  process.stderr.write(`\nSKIPPED: ${name}: ${reason}\n`);
  describe.skip(`${name} (${reason})`, body);
}
