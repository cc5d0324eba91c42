// Node lets only a socket that is made by our own hands read into our buffers (`onread`), and those that a server accepts
// are made by Node. So the connection of such a socket is moved into a new one. That uses a property with an underscore,
// as ask-kernel.ts does and nothing else; takeOverWorks() tries it out, and where it says no, 'data' events and a copy do.

import type { AddressInfo, OnReadOpts, Server, SocketConstructorOpts } from 'node:net';
import { connect, createServer, Socket } from 'node:net';
import { QUICK_WRITES } from './quick-write.ts';

const TRIAL_LIMIT_MS = 2000;

interface RawSocket {
  _handle: object | null;
}

/**
 * A new socket, half-open ones allowed, that has the connection of `socket` and reads into the places of `onread`; it
 * is paused and has not read a byte. `socket`, which must not have read either, is destroyed, or its server would never
 * close. null, and nothing done, when `socket` has no connection any more.
 */
export function takeOver(socket: Socket, onread: OnReadOpts): Socket | null {
  const raw = socket as unknown as RawSocket;
  const handle = raw._handle ?? null;
  if (handle === null) return null;
  raw._handle = null;
  const options = { ...QUICK_WRITES, handle, allowHalfOpen: true, onread, pauseOnCreate: true };
  const own = new Socket(options as SocketConstructorOpts);
  socket.destroy();
  return own;
}

/** Does takeOver() do on this Node what it says? Tries it on a connection of its own over loopback. Never rejects. */
export function takeOverWorks(): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer({ pauseOnConnect: true, allowHalfOpen: true });
    const ends: Socket[] = [];
    const finish = (works: boolean): void => {
      for (const end of ends) end.destroy();
      // close() calls back only when no connection counts as the server's: that is part of the trial.
      server.close(() => {
        clearTimeout(limit);
        resolve(works);
      });
    };
    const limit = setTimeout(() => {
      finish(false);
      resolve(false);
    }, TRIAL_LIMIT_MS);
    tryOut(server, ends, finish);
  });
}

function tryOut(server: Server, ends: Socket[], finish: (works: boolean) => void): void {
  const place = Buffer.alloc(16);
  const fail = (): void => finish(false);
  const callback = (count: number, buffer: Uint8Array): boolean => {
    finish(buffer === place && place.toString('latin1', 0, count) === 'trial');
    return false;
  };
  server.on('error', fail);
  server.on('connection', (accepted) => {
    ends.push(accepted.on('error', fail));
    try {
      const own = takeOver(accepted, { buffer: () => place, callback });
      if (own === null) return fail();
      ends.push(own.on('error', fail));
      own.resume();
    } catch {
      // This Node's sockets are made differently: exactly what the trial is to find out.
      fail();
    }
  });
  server.listen(0, '127.0.0.1', () => {
    const client = connect((server.address() as AddressInfo).port, '127.0.0.1');
    client.on('error', fail);
    ends.push(client);
    client.end('trial');
  });
}
