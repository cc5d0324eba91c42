// Builds the guest of the end-to-end tests from Debian's packages: `node tools/run.mjs tools/guest/build.ts`.
// A Debian kernel, busybox, iperf3 and socat with their libraries, and the four scripts in files/ become
// build/vmlinux and build/initramfs.cpio, which QEMU boots in about two seconds without KVM. Needs apt's package lists
// and no root: packages are downloaded into build/packages (one that is there already is taken) and only unpacked.
// Does nothing when nothing has changed. Prints the folder.
//
// Two choices make the boot fast under QEMU's translator. The kernel is unpacked here, because its own decompressor
// would run there for four seconds; QEMU starts an ELF kernel through its PVH entry. And the initramfs is not
// compressed at all.

import { createHash } from 'node:crypto';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';
import * as commands from './commands.ts';
import { type Entry, packCpio } from './cpio.ts';
import { moduleEntries, type Nics } from './modules.ts';

const here = dirname(resolve(process.argv[1]!));
const build = join(here, 'build');
const packages = join(build, 'packages');
const unpacked = join(build, 'unpacked');
// The packages' own programs run here too, with their own libraries.
const libraryFolders = ['lib', 'usr/lib'].map((folder) => join(unpacked, folder, 'x86_64-linux-gnu'));
const loader = join(libraryFolders[0]!, 'ld-linux-x86-64.so.2');

/** The kernel's module for each NIC of QEMU's that we test with, by QEMU's name. */
const nics: Nics = {
  'virtio-net-pci': ['virtio_pci', 'virtio_net'],
  e1000: ['e1000'],
  rtl8139: ['8139cp'],
  ne2k_pci: ['ne2k-pci'],
};
const programs = ['usr/bin/iperf3', 'usr/bin/socat'];

function fail(message: string): never {
  return commands.fail('guest', message);
}

const run = (command: string, args: readonly string[], cwd = build): string =>
  commands.run('guest', command, args, { cwd });

/** Names of the packages: what we want, the kernel that the metapackage stands for, and every library below. */
function packageNames(): string[] {
  const kernel = /Depends: (linux-image-\S+)/.exec(run('apt-cache', ['depends', 'linux-image-amd64']))?.[1];
  if (kernel === undefined) fail('apt-cache knows no linux-image-amd64: run apt-get update');
  const names = new Set(['busybox-static', 'iperf3', 'socat', 'xz-utils']);
  for (let added = [...names]; added.length > 0; ) {
    const depends = run('apt-cache', ['depends', '--important', ...added]);
    const libraries = [...depends.matchAll(/Depends: (lib\S+)/g)].map((match) => match[1]!);
    added = [...new Set(libraries)].filter((name) => !names.has(name));
    for (const name of added) names.add(name);
  }
  return [kernel, ...names];
}

/** Downloads what is missing; returns the files. */
function fetchPackages(uris: string): string[] {
  const wanted = [...uris.matchAll(/^'[^']*' (\S+) /gm)].map((match) => match[1]!);
  const missing = wanted.filter((file) => !existsSync(join(packages, file)));
  // name_version_arch.deb, the version percent-encoded; apt-get wants name=version.
  const asked = missing.map((file) => {
    const [name, version] = file.split('_');
    return `${name}=${decodeURIComponent(version!)}`;
  });
  if (asked.length > 0) run('apt-get', ['download', '-qq', ...asked], packages);
  return wanted.map((file) => join(packages, file));
}

/** The ELF kernel inside a bzImage. Documentation/arch/x86/boot.rst: payload_offset and payload_length. */
function unpackKernel(vmlinuz: string): void {
  const image = readFileSync(vmlinuz);
  const start = (image[0x1f1]! + 1) * 512 + image.readUInt32LE(0x248);
  const length = image.readUInt32LE(0x24c);
  // The last four bytes are the unpacked size.
  writeFileSync(join(build, 'kernel.xz'), image.subarray(start, start + length - 4));
  rmSync(join(build, 'kernel'), { force: true });
  run(loader, ['--library-path', libraryFolders.join(':'), join(unpacked, 'usr/bin/xz'), '-d', 'kernel.xz']);
  renameSync(join(build, 'kernel'), join(build, 'vmlinux'));
}

/** The programs and every library their loader asks for. */
function programEntries(): Entry[] {
  const entries: Entry[] = [
    { path: 'lib64/ld-linux-x86-64.so.2', mode: 0o100755, data: readFileSync(realpathSync(loader)) },
  ];
  const libraries = new Set<string>();
  for (const program of programs) {
    const file = join(unpacked, program);
    entries.push({ path: `bin/${basename(program)}`, mode: 0o100755, data: readFileSync(file) });
    const listed = run(loader, ['--library-path', libraryFolders.join(':'), '--list', file]);
    for (const match of listed.matchAll(/=> (\/\S+)/g)) libraries.add(match[1]!);
  }
  // Name resolution loads this one by hand.
  libraries.add(join(libraryFolders[0]!, 'libnss_dns.so.2'));
  for (const library of libraries) {
    if (!library.startsWith(unpacked)) fail(`${library} is not from the packages`);
    if (!existsSync(library)) continue;
    const data = readFileSync(realpathSync(library));
    entries.push({ path: `usr/lib/x86_64-linux-gnu/${basename(library)}`, mode: 0o100755, data });
  }
  entries.push({
    path: 'lib/x86_64-linux-gnu',
    mode: 0o120777,
    data: Buffer.from('../usr/lib/x86_64-linux-gnu'),
  });
  return entries;
}

function initramfs(): Buffer {
  const folders = ['lib', 'lib64', 'usr', 'usr/lib', 'usr/lib/x86_64-linux-gnu'];
  return packCpio([
    ...commands.baseEntries(join(here, 'files'), unpacked, folders),
    { path: 'etc/nsswitch.conf', mode: 0o100644, data: Buffer.from('hosts: files dns\n') },
    ...programEntries(),
    ...moduleEntries(nics, join(unpacked, 'lib/modules')),
  ]);
}

/** Of our own files that go in, and of what apt knows: its package lists change when `apt-get update` has run. */
function inputsHash(): string {
  const hash = createHash('sha256').update(String(statSync('/var/lib/apt/lists').mtimeMs));
  const files = readdirSync(join(here, 'files')).map((file) => join('files', file));
  for (const file of ['build.ts', 'commands.ts', 'cpio.ts', 'modules.ts', ...files.sort()]) {
    hash.update(file).update(readFileSync(join(here, file)));
  }
  return hash.digest('hex');
}

function main(): void {
  if (!existsSync('/var/lib/apt/lists')) fail('no apt on this machine: the guest is made of Debian packages');
  mkdirSync(packages, { recursive: true });
  const hash = inputsHash();
  const stamp = join(build, 'inputs');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === hash) {
    process.stdout.write(`${build}\n`);
    return;
  }
  rmSync(stamp, { force: true });
  rmSync(unpacked, { recursive: true, force: true });
  const uris = run('apt-get', ['download', '--print-uris', ...packageNames()]);
  const files = fetchPackages(uris);
  for (const file of files) run('dpkg-deb', ['-x', file, unpacked]);
  const boot = join(unpacked, 'boot');
  const vmlinuz = readdirSync(boot).find((file) => file.startsWith('vmlinuz-')) ?? fail('no vmlinuz');
  copyFileSync(join(boot, vmlinuz), join(build, 'vmlinuz'));
  unpackKernel(join(build, 'vmlinuz'));
  writeFileSync(join(build, 'initramfs.cpio'), initramfs());
  rmSync(unpacked, { recursive: true, force: true });
  writeFileSync(stamp, hash);
  process.stdout.write(`${build}\n`);
}

main();
