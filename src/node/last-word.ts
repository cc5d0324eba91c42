// How a connection has ended, asked of the kernel. libuv reads no further when a read brought less than it could and the
// connection is gone at both ends: it reports the end of the stream, although a reset may be what the next read would have
// said. That read is done here. It uses a property with an underscore; where there is no descriptor (Windows, whose reads
// do tell) the end is believed.

import { readSync } from 'node:fs';
import type { Socket } from 'node:net';

interface RawSocket {
  readonly _handle?: { readonly fd?: number } | null;
}

const byte = Buffer.alloc(1);

/** Has `socket`, whose stream has ended, been reset? What a program that read it itself would be told. */
export function wasReset(socket: Socket): boolean {
  const fd = (socket as unknown as RawSocket)._handle?.fd ?? -1;
  if (fd < 0) return false;
  try {
    readSync(fd, byte, 0, 1, null);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ECONNRESET';
  }
}
