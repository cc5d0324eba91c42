// The few calls of the C library that Node has no function for, by way of koffi: an optional dependency, imported only when
// a link needs it.
//
// Bytes are passed as addresses, numbers below 2^53, because a view for each call would cost more than the call's overhead.
// An address is good while the object it was taken from is alive and its memory does not move: so it is for a network's
// memory, which never grows.

import { constants } from 'node:os';

/** Each returns what the C function does: -1 for a failure, of which errno() tells. */
export interface Libc {
  read(fd: number, address: number, len: number): number;
  write(fd: number, address: number, len: number): number;
  /** A number is passed as it is, bytes by their address. */
  ioctl(fd: number, request: number, argument: Uint8Array | number): number;
  socket(domain: number, type: number, protocol: number): number;
  /** Sets the first two numbers of `fds`. */
  pipe2(fds: Int32Array, flags: number): number;
  dup3(from: number, to: number, flags: number): number;
  /** Of the last call that failed; see `errnoName`. */
  errno(): number;
  /** Where the first byte of `bytes` is. */
  addressOf(bytes: Uint8Array): number;
}

/** What we use of koffi. */
interface Koffi {
  load(path: null): { func(name: string, result: string, parameters: string[]): unknown };
  errno(): number;
  address(value: Uint8Array): bigint;
}

/** Variadic: the type of the third argument is told with it. */
type Ioctl = (fd: number, request: number, type: string, argument: Uint8Array | number) => number;

/** Imports koffi; a test may bring another. */
export type ImportKoffi = () => Promise<unknown>;

/** Rejects with one line that says what to install. */
export async function loadLibc(importKoffi: ImportKoffi = () => import('koffi')): Promise<Libc> {
  let koffi: Koffi;
  try {
    koffi = ((await importKoffi()) as { default: Koffi }).default;
  } catch (error) {
    const said = error instanceof Error ? error.message.split('\n')[0] : String(error);
    throw new Error(`needs the package koffi: npm install koffi (${said})`, { cause: error });
  }
  const lib = koffi.load(null);
  const ioctl = lib.func('ioctl', 'int', ['int', 'unsigned long', '...']) as Ioctl;
  return {
    read: lib.func('read', 'intptr_t', ['int', 'uintptr_t', 'size_t']) as Libc['read'],
    write: lib.func('write', 'intptr_t', ['int', 'uintptr_t', 'size_t']) as Libc['write'],
    ioctl: (fd, request, argument) =>
      ioctl(fd, request, typeof argument === 'number' ? 'unsigned long' : 'void *', argument),
    socket: lib.func('socket', 'int', ['int', 'int', 'int']) as Libc['socket'],
    pipe2: lib.func('pipe2', 'int', ['void *', 'int']) as Libc['pipe2'],
    dup3: lib.func('dup3', 'int', ['int', 'int', 'int']) as Libc['dup3'],
    errno: () => koffi.errno(),
    addressOf: (bytes) => Number(koffi.address(bytes)),
  };
}

/** `EBUSY` for 16, or the number itself. */
export function errnoName(errno: number): string {
  const known = Object.entries(constants.errno).find(([, number]) => number === errno);
  return known === undefined ? `error ${errno}` : known[0];
}
