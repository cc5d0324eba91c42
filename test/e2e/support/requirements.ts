// What the end-to-end tests need of the machine, and what happens when it is not there: in CI the tests fail, elsewhere
// they are skipped, and the reason is printed.

import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { describe } from 'vitest';
import { hasBrowser } from './browser.ts';

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
  describeUnless(missing(tools), name, body);
}

/** `describe`, where TAP devices and network namespaces can be made, and iproute2, koffi and `tools` are there. */
export function describeWithTap(name: string, tools: readonly string[], body: () => void): void {
  describeUnless(missingForTap(tools), name, body);
}

/** `describe`, where the built program is there. */
export function describeWithProgram(name: string, body: () => void): void {
  describeUnless(existsSync(program) ? null : 'dist/usernet.mjs is not built: npm run build', name, body);
}

/** `describe`, where Chromium and the built program are there. */
export function describeWithBrowser(name: string, body: () => void): void {
  if (!hasBrowser()) describeUnless('there is no chromium on this machine', name, body);
  else describeWithProgram(name, body);
}

/** `describe`, where the machines for v86 are there or can be built. */
export function describeWithV86(name: string, body: () => void): void {
  describeUnless(missingForV86(), name, body);
}

/** The same, where Chromium is there too. */
export function describeWithV86AndBrowser(name: string, body: () => void): void {
  describeUnless(hasBrowser() ? missingForV86() : 'there is no chromium on this machine', name, body);
}

/** The machines are made of Debian's packages, and booted once for each card: see tools/v86/build.ts. */
function missingForV86(): string | null {
  for (const tool of ['apt-get', 'dpkg-deb', 'flock']) {
    if (spawnSync('which', [tool]).status !== 0) return `there is no ${tool} on this machine`;
  }
  mkdirSync(image, { recursive: true });
  const builder = [process.execPath, 'tools/run.mjs', 'tools/v86/build.ts'];
  const built = spawnSync('flock', [join(image, 'lock'), ...builder], { cwd: root, encoding: 'utf8' });
  if (built.status === 0) return null;
  return `the machines for v86 cannot be built: ${built.stderr?.trim() ?? built.error?.message}`;
}

function missingForTap(tools: readonly string[]): string | null {
  if (process.platform !== 'linux') return 'TAP devices need Linux';
  if (process.getuid?.() !== 0) return 'TAP devices and network namespaces need root';
  if (!existsSync('/dev/net/tun')) return 'there is no /dev/net/tun on this machine';
  for (const tool of ['ip', ...tools]) {
    if (spawnSync('which', [tool]).status !== 0) return `there is no ${tool} on this machine`;
  }
  try {
    createRequire(import.meta.url).resolve('koffi');
  } catch {
    return 'koffi is not installed';
  }
  return null;
}

function describeUnless(reason: string | null, name: string, body: () => void): void {
  if (reason === null) {
    describe(name, body);
    return;
  }
  if (inCi) throw new Error(`${name}: ${reason}`);
  process.stderr.write(`\nSKIPPED: ${name}: ${reason}\n`);
  describe.skip(`${name} (${reason})`, body);
}
