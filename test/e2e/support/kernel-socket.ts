// Sockets of a network namespace that this process is not in, byte by byte, and with errors by name: more than Node's have.
// A socket belongs for ever to the namespace of the thread that made it. So the main thread enters the namespace, makes
// the socket and comes back, all within one call.

import { closeSync, openSync } from 'node:fs';
import koffi from 'koffi';
import { errnoName } from '../../../src/node/libc.ts';

const libc = koffi.load(null);
const setns = libc.func('setns', 'int', ['int', 'int']);
const socket = libc.func('socket', 'int', ['int', 'int', 'int']);
const bind = libc.func('bind', 'int', ['int', 'void *', 'uint']);
const listen = libc.func('listen', 'int', ['int', 'int']);
const connect = libc.func('connect', 'int', ['int', 'void *', 'uint']);
const accept = libc.func('accept4', 'int', ['int', 'void *', 'void *', 'int']);
const recv = libc.func('recv', 'intptr_t', ['int', 'void *', 'size_t', 'int']);
const send = libc.func('send', 'intptr_t', ['int', 'void *', 'size_t', 'int']);
const shutdown = libc.func('shutdown', 'int', ['int', 'int']);
const close = libc.func('close', 'int', ['int']);
const setsockopt = libc.func('setsockopt', 'int', ['int', 'int', 'int', 'void *', 'uint']);
const getsockopt = libc.func('getsockopt', 'int', ['int', 'int', 'int', 'void *', 'void *']);

const CLONE_NEWNET = 0x40000000;
const AF_INET = 2;
const SOCK_STREAM = 1;
const SOCK_NONBLOCK = 0o4000;
const SOL_SOCKET = 1;
const IPPROTO_TCP = 6;
const MSG_NOSIGNAL = 0x4000;
export const Option = {
  reuseAddress: [SOL_SOCKET, 2],
  oobInline: [SOL_SOCKET, 10],
  receiveBuffer: [SOL_SOCKET, 8],
  noDelay: [IPPROTO_TCP, 1],
} as const;
const SO_ERROR = 4;
const SO_LINGER = 13;
const TCP_INFO = 11;
const SHUT_WR = 1;

/** The name of the last error; '' for one that says: not yet. */
function errorName(): string {
  const name = errnoName(koffi.errno());
  return name === 'EAGAIN' || name === 'EINPROGRESS' ? '' : name;
}

function must(result: number, what: string): number {
  if (result < 0) throw new Error(`${what}: ${errorName() || 'EAGAIN'}`);
  return result;
}

/** Runs `what` with this thread in the network namespace that `ip netns` calls `name`. */
export function inNamespace<T>(name: string, what: () => T): T {
  const home = openSync('/proc/thread-self/ns/net', 'r');
  const there = openSync(`/run/netns/${name}`, 'r');
  try {
    must(setns(there, CLONE_NEWNET), 'setns');
    return what();
  } finally {
    must(setns(home, CLONE_NEWNET), 'setns');
    closeSync(home);
    closeSync(there);
  }
}

function address(ip: string, port: number): Uint8Array {
  const bytes = new Uint8Array(16);
  bytes.set([AF_INET, 0, port >>> 8, port & 0xff, ...ip.split('.').map(Number)]);
  return bytes;
}

/** A TCP socket that never blocks. Errors are thrown with their name, but for those that a method says it returns. */
export class Socket {
  private readonly fd: number;
  private closed = false;

  private constructor(fd: number) {
    this.fd = fd;
  }

  /** Made in the namespace of the thread. */
  static create(): Socket {
    return new Socket(must(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), 'socket'));
  }

  set(option: readonly [number, number], value: number): void {
    must(setsockopt(this.fd, option[0], option[1], Int32Array.of(value), 4), 'setsockopt');
  }

  listen(ip: string, port: number): void {
    must(bind(this.fd, address(ip, port), 16), 'bind');
    must(listen(this.fd, 16), 'listen');
  }

  /** Begins to connect. */
  connect(ip: string, port: number): void {
    if (connect(this.fd, address(ip, port), 16) < 0 && errorName() !== '') must(-1, 'connect');
  }

  /** Null when there is none yet. */
  accept(): Socket | null {
    const fd = accept(this.fd, null, null, SOCK_NONBLOCK);
    if (fd < 0 && errorName() === '') return null;
    return new Socket(must(fd, 'accept'));
  }

  /** Null when there are no bytes yet; no bytes at the end of file. */
  read(most: number): Uint8Array | null {
    const bytes = new Uint8Array(most);
    const got = recv(this.fd, bytes, most, 0);
    if (got < 0 && errorName() === '') return null;
    return bytes.subarray(0, must(got, 'recv'));
  }

  /** Bytes that the kernel took. */
  write(bytes: Uint8Array): number {
    return must(send(this.fd, bytes, bytes.length, MSG_NOSIGNAL), 'send');
  }

  shutdown(): void {
    must(shutdown(this.fd, SHUT_WR), 'shutdown');
  }

  /** close() with SO_LINGER of no time: a reset. */
  abort(): void {
    must(setsockopt(this.fd, SOL_SOCKET, SO_LINGER, Int32Array.of(1, 0), 8), 'SO_LINGER');
    this.close();
  }

  close(): void {
    if (!this.closed) must(close(this.fd), 'close');
    this.closed = true;
  }

  /** The pending error's name, '' when there is none; asking clears it. */
  error(): string {
    const code = new Int32Array(1);
    must(getsockopt(this.fd, SOL_SOCKET, SO_ERROR, code, Uint32Array.of(4)), 'SO_ERROR');
    return code[0] === 0 ? '' : errnoName(code[0]!);
  }

  /** The first byte of struct tcp_info: the state's number in Linux. */
  state(): number {
    const bytes = new Uint8Array(8);
    must(getsockopt(this.fd, IPPROTO_TCP, TCP_INFO, bytes, Uint32Array.of(8)), 'TCP_INFO');
    return bytes[0]!;
  }
}
