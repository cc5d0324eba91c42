// A write to a socket, as cheap as Node has it. With a callback Node plans a tick for it, also when the system has taken the
// bytes before write() returns, which it mostly has: that was a quarter of what a small write cost. So there is none, and
// whether all has gone is asked. Only where it has not, a write of nothing behind it says when it has.

import type { Socket } from 'node:net';

const NOTHING = Buffer.alloc(0);

/** For sockets that are written to in this way: Node need not tell anybody to wait. */
export const QUICK_WRITES = { writableHighWaterMark: Number.MAX_SAFE_INTEGER } as const;

/** Not a function: of thousands of idle connections each would hold its own for life, and few ever have to wait. */
export interface QuickWriter {
  /** What had to wait is written, or failed. */
  onWriteDone(error?: Error | null): void;
}

/** True when the system has all of `bytes`. Else they are in use until `writer` is told. */
export function writeQuickly(socket: Socket, bytes: Uint8Array, writer: QuickWriter): boolean {
  socket.write(bytes);
  if (socket.writableLength === 0) return true;
  socket.write(NOTHING, (error) => writer.onWriteDone(error));
  return false;
}
