// What the kernel knows of a connection and Node does not tell, or keeps with every socket from then on. It is asked through
// a property with an underscore; where that has changed, or on Windows, the answer is no.

import { readSync } from 'node:fs';
import type { Socket } from 'node:net';

interface Name {
  address?: string;
  port?: number;
}

interface RawSocket {
  readonly _handle?: {
    /** -1 on Windows. */
    readonly fd?: number;
    /** Fill `name`; 0, or the number of an error. */
    getsockname?(name: Name): number;
    getpeername?(name: Name): number;
  } | null;
}

const byte = Buffer.alloc(1);
const own: Name = {};
const remote: Name = {};

/**
 * Has `socket`, whose stream has ended, been reset? What a program that read it itself would be told: libuv reads no further
 * when a read brought less than it could and the connection is gone at both ends, and reports the end of the stream,
 * although a reset may be what the next read says. That read is done here. Windows tells by itself.
 */
export function wasReset(socket: Socket): boolean {
  const fd = rawOf(socket)?.fd ?? -1;
  if (fd < 0) return false;
  try {
    readSync(fd, byte, 0, 1, null);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ECONNRESET';
  }
}

/** Are both ends of the connection the same? RFC 9293 3.5, simultaneous open, with nobody else. */
export function hasMetItself(socket: Socket): boolean {
  const raw = rawOf(socket);
  if (raw?.getsockname?.(own) !== 0 || raw.getpeername?.(remote) !== 0) return false;
  return own.port === remote.port && own.address === remote.address;
}

function rawOf(socket: Socket): RawSocket['_handle'] {
  return (socket as unknown as RawSocket)._handle;
}
