// Builds the machines of the tests with v86: `node tools/run.mjs tools/v86/build.ts`. Debian's 686 kernel and busybox with
// the init and the agent of tools/guest/files become an image, v86 boots it once for each of its network cards, and the
// state in which the agent takes commands is kept: from there a machine goes on in a second, where booting takes twenty.
// All of it is in FOLDER of settings.ts. Does nothing when nothing has changed. Prints the folder.
//
// Needs apt and the network, and no root: the lists for i386 and the packages are kept apart from the machine's own, and
// the packages are only unpacked. The BIOS is Debian's seabios, fetched as well.

import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join, resolve } from 'node:path';
import * as commands from '../guest/commands.ts';
import { packCpio } from '../guest/cpio.ts';
import { moduleEntries } from '../guest/modules.ts';
import { CARDS, FOLDER } from './settings.ts';

const here = dirname(resolve(process.argv[1]!));
const root = resolve(here, '../..');
const build = join(root, FOLDER);
const unpacked = join(build, 'unpacked');
const guestFiles = join(root, 'tools/guest/files');

const NICS = { ne2k: ['ne2k-pci'], virtio: ['virtio_pci', 'virtio_net'] } as const;

function fail(message: string): never {
  return commands.fail('v86', message);
}

const env = { ...process.env, APT_CONFIG: join(build, 'apt.conf') };
const run = (command: string, ...args: readonly string[]): string =>
  commands.run('v86', command, args, { cwd: build, env });

/** Fetches the packages, and unpacks them. */
function fetchPackages(): void {
  const [state, cache] = [join(build, 'lists'), join(build, 'cache')];
  for (const path of [join(state, 'lists/partial'), join(cache, 'archives/partial')]) {
    mkdirSync(path, { recursive: true });
  }
  const dirs = `Dir::State "${state}";\nDir::State::status "/dev/null";\nDir::Cache "${cache}";\n`;
  const settings = `APT::Sandbox::User "root";\nAPT::Architecture "i386";\nAPT::Architectures { "i386"; };\n`;
  writeFileSync(join(build, 'apt.conf'), settings + dirs);
  // Some list or other may fail; whether ours are there shows at once.
  spawnSync('apt-get', ['update', '-qq'], { env });
  const kernel = /Depends: (linux-image-\S+)/.exec(run('apt-cache', 'depends', 'linux-image-686'))?.[1];
  if (kernel === undefined) fail('apt knows no linux-image-686');
  run('apt-get', 'download', '-qq', kernel, 'busybox-static', 'seabios');
  for (const name of readdirSync(build)) {
    if (!name.endsWith('.deb')) continue;
    run('dpkg-deb', '-x', name, unpacked);
    rmSync(join(build, name));
  }
}

function initramfs(): Buffer {
  const modules = moduleEntries(NICS, join(unpacked, 'lib/modules'));
  return packCpio([...commands.baseEntries(guestFiles, unpacked), ...modules]);
}

function buildImage(): void {
  fetchPackages();
  const boot = join(unpacked, 'boot');
  const vmlinuz = readdirSync(boot).find((file) => file.startsWith('vmlinuz-')) ?? fail('no vmlinuz');
  copyFileSync(join(boot, vmlinuz), join(build, 'vmlinuz'));
  // v86's graphics card is QEMU's `std`; with the BIOS of another its screen stays black.
  for (const [bios, name] of [
    ['bios.bin', 'bios.bin'],
    ['vgabios-stdvga.bin', 'vgabios.bin'],
  ] as const)
    copyFileSync(join(unpacked, 'usr/share/seabios', bios), join(build, name));
  writeFileSync(join(build, 'initramfs.cpio'), initramfs());
  rmSync(unpacked, { recursive: true, force: true });
}

/** Boots the machine with each card, side by side, and keeps its state. */
async function saveStates(): Promise<void> {
  const program = [join(root, 'tools/run.mjs'), join(here, 'save-state.ts')];
  const saving = CARDS.map(async (card) => {
    const child = spawn(process.execPath, [...program, build, card], { cwd: root, stdio: 'inherit' });
    const [status] = await once(child, 'exit');
    if (status !== 0) fail(`the machine with its ${card} card did not boot`);
  });
  await Promise.all(saving);
}

/** Of what goes in, v86 included, but for the packages: they are those of the day on which it was built. */
function inputsHash(): string {
  const hash = createHash('sha256');
  const v86 = dirname(createRequire(import.meta.url).resolve('v86'));
  const ours = ['build.ts', 'save-state.ts', 'machine.ts', 'settings.ts'].map((file) => join(here, file));
  const guest = readdirSync(guestFiles)
    .sort()
    .map((file) => join(guestFiles, file));
  const shared = ['commands.ts', 'cpio.ts', 'modules.ts'].map((file) => join(root, 'tools/guest', file));
  for (const file of [...ours, ...guest, ...shared, join(v86, 'v86.wasm'), join(v86, 'libv86.mjs')]) {
    hash.update(readFileSync(file));
  }
  return hash.digest('hex');
}

async function main(): Promise<void> {
  mkdirSync(build, { recursive: true });
  const hash = inputsHash();
  const stamp = join(build, 'inputs');
  if (!existsSync(stamp) || readFileSync(stamp, 'utf8') !== hash) {
    rmSync(stamp, { force: true });
    rmSync(unpacked, { recursive: true, force: true });
    buildImage();
    await saveStates();
    writeFileSync(stamp, hash);
  }
  process.stdout.write(`${build}\n`);
}

await main();
