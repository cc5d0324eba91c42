// A TAP device of Linux: /dev/net/tun opened, its name and MTU set, and a socket of Node made to read from it.
//
// Node has no stream for a character device, and its fs.read() occupies the thread pool that names and files need. But it
// has one for a pipe, and takes it by its descriptor: `new Socket({ fd })`. So a pipe is made, its reading end is given to
// such a socket, and dup3(2) then puts the TAP in that end's place, before the event loop has looked at it. libuv polls
// the descriptor and reads from it as before; a read brings one frame.

import { closeSync, constants, openSync } from 'node:fs';
import type { OnReadOpts, SocketConstructorOpts } from 'node:net';
import { Socket } from 'node:net';
import { constants as os } from 'node:os';
import { errnoName, type ImportKoffi, type Libc, loadLibc } from './libc.ts';
import { tapNameFault } from './tap-name.ts';

/** How the device is opened. */
export interface TapOptions {
  /** What the device is called: 1 to 15 visible ASCII characters without `/`, `:` and `%`. */
  readonly name: string;
  /** 68..65521 bytes; absent: the device keeps what it has, 1500 when it is new. */
  readonly mtu?: number;
}

/** What a test may bring in place of the system. */
export interface TapSystem {
  readonly platform: string;
  readonly devicePath: string;
  readonly importKoffi?: ImportKoffi;
}

export interface TapDevice {
  readonly libc: Libc;
  readonly fd: number;
  readonly mtu: number;
}

/** What Linux takes for a TAP. */
const [MIN_MTU, MAX_MTU] = [68, 65521];

const HERE: TapSystem = { platform: process.platform, devicePath: '/dev/net/tun' };

// <linux/if_tun.h>, <linux/sockios.h>, <linux/if.h>. PowerPC has other bits for an ioctl that writes.
const WRITES = process.arch === 'ppc64' ? 0x80000000 : 0x40000000;
const TUNSETIFF = WRITES + 0x454ca;
const TUNSETOFFLOAD = WRITES + 0x454d0;
const SIOCGIFMTU = 0x8921;
const SIOCSIFMTU = 0x8922;
const IFF_TAP_NO_PI = 0x1002;
const NO_OFFLOADS = 0;
const IFREQ_LEN = 40;
const IFNAMSIZ = 16;
const AF_INET = 2;
const SOCK_DGRAM = 2;
/** O_CLOEXEC is SOCK_CLOEXEC. */
const CLOEXEC = 0o2000000;

/** Opens the device, or makes it. Rejects with one line that names it. */
export async function openTapDevice(options: TapOptions, system: Partial<TapSystem>): Promise<TapDevice> {
  try {
    return await opened(options, { ...HERE, ...system });
  } catch (error) {
    throw new Error(`tap:${options.name}: ${(error as Error).message}`, { cause: error });
  }
}

async function opened({ name, mtu }: TapOptions, system: TapSystem): Promise<TapDevice> {
  const fault = tapNameFault(name);
  if (fault !== null) throw new Error(fault);
  if (mtu !== undefined && !(Number.isInteger(mtu) && mtu >= MIN_MTU && mtu <= MAX_MTU))
    throw new Error(`an MTU of ${mtu}: is no whole number from ${MIN_MTU} to ${MAX_MTU}`);
  if (system.platform !== 'linux')
    throw new Error(`TAP devices are opened on Linux, this is ${system.platform}`);
  const libc = await loadLibc(system.importKoffi);
  const fd = openDriver(system.devicePath);
  try {
    const request = Buffer.alloc(IFREQ_LEN);
    request.write(name, 'latin1');
    // Native order, as C has it.
    new Uint16Array(request.buffer, request.byteOffset + IFNAMSIZ, 1)[0] = IFF_TAP_NO_PI;
    if (libc.ioctl(fd, TUNSETIFF, request) < 0) throw new Error(attachFault(errnoName(libc.errno())));
    // A device that stays keeps what its last user asked for. After QEMU that is frames without checksums, and many
    // segments in one frame.
    if (libc.ioctl(fd, TUNSETOFFLOAD, NO_OFFLOADS) < 0)
      throw new Error(`its offloads cannot be turned off: ${errnoName(libc.errno())}`);
    return { libc, fd, mtu: setMtu(libc, name, mtu) };
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

function openDriver(path: string): number {
  try {
    return openSync(path, constants.O_RDWR | constants.O_NONBLOCK);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') throw new Error(`there is no ${path}: modprobe tun makes it`);
    if (code === 'ENODEV' || code === 'ENXIO') throw new Error('this kernel has no driver for TAP devices');
    if (code === 'EACCES' || code === 'EPERM') throw new Error(`no permission to open ${path}`);
    throw new Error(`${path}: ${code}`);
  }
}

function attachFault(code: string): string {
  if (code === 'EPERM') {
    return "no permission: needs CAP_NET_ADMIN, or a device made for this user with 'ip tuntap add'";
  }
  if (code === 'EBUSY') return 'the device is in use';
  if (code === 'EINVAL') return 'there is such a device, and it is no TAP of one queue';
  return `the device cannot be made: ${code}`;
}

/** Sets the device's MTU where it is another; returns it. */
function setMtu(libc: Libc, name: string, wanted: number | undefined): number {
  const fd = libc.socket(AF_INET, SOCK_DGRAM | CLOEXEC, 0);
  if (fd < 0) throw new Error(`no socket to ask for its MTU: ${errnoName(libc.errno())}`);
  try {
    const request = Buffer.alloc(IFREQ_LEN);
    request.write(name, 'latin1');
    const field = new Int32Array(request.buffer, request.byteOffset + IFNAMSIZ, 1);
    if (libc.ioctl(fd, SIOCGIFMTU, request) < 0)
      throw new Error(`its MTU is unknown: ${errnoName(libc.errno())}`);
    const has = field[0]!;
    if (wanted === undefined || wanted === has) return has;
    field[0] = wanted;
    if (libc.ioctl(fd, SIOCSIFMTU, request) === 0) return wanted;
    const code = errnoName(libc.errno());
    throw new Error(
      code === 'EPERM'
        ? `no permission to change its MTU from ${has} to ${wanted}`
        : `the device refuses an MTU of ${wanted}: ${code}`,
    );
  } finally {
    closeSync(fd);
  }
}

/**
 * A socket that reads frames from the device into the places of `onread`; it owns the device, whose descriptor is `fd`
 * from here on. Throws when the process has no descriptor left; the device is the caller's still.
 */
export function readingSocket(
  { libc, fd: tap }: TapDevice,
  onread: OnReadOpts,
): { socket: Socket; fd: number } {
  const ends = new Int32Array(2);
  if (libc.pipe2(ends, CLOEXEC) < 0) throw new Error(`no pipe: ${errnoName(libc.errno())}`);
  const fd = ends[0]!;
  let socket: Socket | null = null;
  try {
    const options = { fd, readable: true, writable: false, onread };
    socket = new Socket(options as SocketConstructorOpts);
    if (libc.dup3(tap, fd, CLOEXEC) < 0) throw new Error(`no descriptor: ${errnoName(libc.errno())}`);
    closeSync(tap);
    return { socket, fd };
  } catch (error) {
    if (socket === null) closeSync(fd);
    else socket.destroy();
    throw error;
  } finally {
    closeSync(ends[1]!);
  }
}

/** libuv gives an error number that it has no name for as it is. */
export function readFault(error: NodeJS.ErrnoException): string {
  return faultOf(errnoName(-(error.errno ?? 0)));
}

/** What a read or write that fails says of the device. */
export function faultOf(code: string): string {
  return code === 'EBADFD' || code === `error ${EBADFD}`
    ? 'the device was deleted'
    : `the device fails: ${code}`;
}

/** Not among Node's constants. */
export const EBADFD = 77;
export const { EAGAIN, EINTR, EIO } = os.errno;
