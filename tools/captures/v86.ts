// Debian's 686 kernel and busybox in v86, an emulator of a PC in JavaScript, here in Node. Its frames go over the Unix
// socket that QEMU's guests use: usernet's link, or libslirp's by way of QEMU's hub.
//
// v86 is not among the packages of this project: `npm install --no-save v86@0.5.462`. The guest's packages are fetched
// with apt, whose lists for i386 are kept apart from the machine's own; nothing is installed.

import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { connect, type Socket } from 'node:net';
import { dirname, join } from 'node:path';
import { within } from '../../test/e2e/support/processes.ts';
import { type Entry, packCpio } from '../guest/cpio.ts';
import { startEngine } from './engines.ts';
import type { EngineName, Scene } from './scene.ts';
import { Port } from './servers.ts';
import { run, WEB, type World } from './world.ts';

const BOOT_MS = 180_000;
const END_MS = 10_000;
const VERSION = '0.5.462';
const PREFIX_LEN = 4;
const BIOS = '/usr/share/seabios';

/** The card and the modules that drive it, in the order of loading. */
const CARDS = {
  ne2k: ['8390', 'ne2k-pci'],
  virtio: [
    ...['virtio', 'virtio_ring', 'virtio_pci_legacy_dev', 'virtio_pci_modern_dev', 'virtio_pci'],
    ...['failover', 'net_failover', 'virtio_net'],
  ],
} as const;
type Card = keyof typeof CARDS;

/** As much of it as is used here. */
interface Emulator {
  readonly bus: { send(event: 'net0-receive', frame: Uint8Array): void };
  add_listener(event: 'net0-send', heard: (frame: Uint8Array) => void): void;
  add_listener(event: 'serial0-output-byte', heard: (byte: number) => void): void;
  destroy(): Promise<void>;
}

function v86Module(): string {
  try {
    return createRequire(import.meta.url).resolve('v86');
  } catch {
    throw new Error(`v86 is not installed: npm install --no-save v86@${VERSION}`);
  }
}

/** Where the guest's packages are, in the checkout. */
const CACHE = 'node_modules/.cache/usernet/v86';

function folderOf(root: string): string {
  return join(root, CACHE);
}

/** Fetches and unpacks the guest's packages; nothing is done when they are there. */
async function prepare(root: string): Promise<void> {
  v86Module();
  const folder = folderOf(root);
  const unpacked = join(folder, 'unpacked');
  if (existsSync(join(unpacked, 'boot'))) return;
  const [state, cache] = [join(folder, 'state'), join(folder, 'cache')];
  for (const path of [join(state, 'lists/partial'), join(cache, 'archives/partial')]) {
    mkdirSync(path, { recursive: true });
  }
  const conf = join(folder, 'apt.conf');
  const dirs = `Dir::State "${state}";\nDir::State::status "/dev/null";\nDir::Cache "${cache}";\n`;
  writeFileSync(conf, `APT::Architecture "i386";\nAPT::Architectures { "i386"; };\n${dirs}`);
  const apt = (command: string, ...args: string[]): string => {
    const env = { ...process.env, APT_CONFIG: conf };
    const done = spawnSync(command, args, { cwd: folder, env, encoding: 'utf8' });
    if (done.status !== 0 && args[0] !== 'update')
      throw new Error(`${command} ${args.join(' ')}: ${done.stderr}`);
    return done.stdout;
  };
  // Some list or other may fail; whether ours are there shows at once.
  apt('apt-get', 'update', '-qq');
  const kernel = /Depends: (linux-image-\S+)/.exec(apt('apt-cache', 'depends', 'linux-image-686'))?.[1];
  if (kernel === undefined) throw new Error('apt knows no linux-image-686');
  apt('apt-get', 'download', '-qq', kernel, 'busybox-static');
  for (const name of readdirSync(folder)) {
    if (name.endsWith('.deb')) run('dpkg-deb', '-x', join(folder, name), unpacked);
  }
}

/** What the guest does, and then says on its serial port. */
const INIT = `#!/bin/busybox sh
/bin/busybox --install -s /bin
export PATH=/bin HOME=/
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
mount -t tmpfs run /run
for module in $(cat /modules/order); do insmod /modules/$module.ko; done
ip link set lo up
play() {
  udhcpc -i eth0 -f -n -q -t 5 -T 2 -x hostname:guest -s /bin/lease-event || return 1
  test $(wget -q -O - http://${WEB}/20000 | wc -c) = 20000 || return 2
  test "$(echo hello | nc -w 5 10.0.2.2 ${Port.echo})" = hello || return 3
  echo hello | nc -w 5 10.0.2.2 ${Port.closed}
  nslookup www.example || return 4
  ping -c 1 -W 1 10.0.2.2
  return 0
}
play
echo "the end: $?"
sleep 3600
`;

function initramfs(root: string, card: Card): Buffer {
  const unpacked = join(folderOf(root), 'unpacked');
  const modules = join(unpacked, 'lib/modules');
  const all = readdirSync(modules, { recursive: true, encoding: 'utf8' });
  const folders = ['bin', 'dev', 'etc', 'modules', 'proc', 'run', 'sys', 'tmp'];
  const file = (path: string, data: Buffer): Entry => ({ path, mode: 0o100755, data });
  return packCpio([
    ...folders.map((path) => ({ path, mode: 0o040755, data: Buffer.alloc(0) })),
    file('init', Buffer.from(INIT)),
    file('bin/busybox', readFileSync(join(unpacked, 'bin/busybox'))),
    file('bin/lease-event', readFileSync(join(root, 'tools/guest/files/lease-event'))),
    file('modules/order', Buffer.from(CARDS[card].join('\n'))),
    ...CARDS[card].map((name) => {
      const path = all.find((path) => path.endsWith(`/${name}.ko`));
      if (path === undefined) throw new Error(`the kernel has no module ${name}`);
      return file(`modules/${name}.ko`, readFileSync(join(modules, path)));
    }),
  ]);
}

/** Frames between an emulator and a socket, where each has its length in front. */
function plug(emulator: Emulator, socket: Socket): void {
  emulator.add_listener('net0-send', (frame) => {
    // A view of the card's memory, gone when we return.
    const message = Buffer.alloc(PREFIX_LEN + frame.length);
    message.writeUInt32BE(frame.length);
    message.set(frame, PREFIX_LEN);
    socket.write(message);
  });
  let input = Buffer.alloc(0);
  const deliver = () => {
    // One frame a turn of the event loop: the card has room for eight, and drops what is more.
    if (input.length < PREFIX_LEN) return;
    const end = PREFIX_LEN + input.readUInt32BE();
    if (input.length < end) return;
    emulator.bus.send('net0-receive', new Uint8Array(input.subarray(PREFIX_LEN, end)));
    input = input.subarray(end);
    setImmediate(deliver);
  };
  socket.on('data', (chunk) => {
    const isIdle = input.length === 0;
    input = Buffer.concat([input, chunk]);
    if (isIdle) deliver();
  });
  // The engine's end.
  socket.on('error', () => socket.destroy());
}

async function boot(root: string, card: Card): Promise<Emulator> {
  const module = v86Module();
  const { V86 } = await import(module);
  const unpacked = join(folderOf(root), 'unpacked');
  const kernel = readdirSync(join(unpacked, 'boot')).find((name) => name.startsWith('vmlinuz-'))!;
  const buffer = (bytes: Buffer) => ({ buffer: new Uint8Array(bytes).buffer });
  return new V86({
    wasm_path: join(dirname(module), 'v86.wasm'),
    memory_size: 96 << 20,
    vga_memory_size: 2 << 20,
    bios: buffer(readFileSync(join(BIOS, 'bios.bin'))),
    vga_bios: buffer(readFileSync(join(BIOS, 'vgabios.bin'))),
    bzimage: buffer(readFileSync(join(unpacked, 'boot', kernel))),
    initrd: buffer(initramfs(root, card)),
    cmdline: 'console=ttyS0 quiet panic=-1 tsc=reliable',
    net_device: { type: card },
    autostart: true,
  });
}

async function record(engine: EngineName, card: Card, world: World, file: string): Promise<void> {
  const path = world.lab.path('link.sock');
  const running = await startEngine(engine, world, [`unix:${path}`], file);
  const socket = connect(path);
  const emulator = await boot(world.root, card);
  try {
    plug(emulator, socket);
    let output = '';
    const end = new Promise<string>((resolve) => {
      emulator.add_listener('serial0-output-byte', (byte) => {
        output += String.fromCharCode(byte);
        const status = /the end: (\d+)\s/.exec(output)?.[1];
        if (status !== undefined) resolve(status);
      });
    });
    const status = await within(BOOT_MS, 'the guest in v86', end).catch(() => 'too late');
    if (status !== '0') throw new Error(`the guest in v86: ${status}\n${output}`);
    await world.settled(file);
  } finally {
    socket.destroy();
    await emulator.destroy();
  }
  await running.stop('SIGTERM', END_MS);
}

function scene(engine: EngineName, card: Card): Scene {
  return {
    name: `v86-${card}-${engine}`,
    format: 'pcap',
    engine,
    guest: `Debian for i386 in v86 ${VERSION} (npm) with its ${card} card`,
    packages: ['linux-image', 'busybox-static', 'seabios'],
    debs: CACHE,
    shows: 'DHCP, 20 000 bytes over HTTP, an echo, a closed port, a name, a ping',
    prepare,
    record: (world, file) => record(engine, card, world, file),
  };
}

export const v86Scenes: readonly Scene[] = [
  scene('libslirp', 'ne2k'),
  scene('usernet', 'ne2k'),
  scene('libslirp', 'virtio'),
  scene('usernet', 'virtio'),
];
