// A unix socket that only its owner can use, at a path where nothing of value is overwritten.

import { existsSync, lstatSync, unlinkSync } from 'node:fs';
import type { Server } from 'node:net';
import { connect } from 'node:net';
import { dirname } from 'node:path';
import { errorCode } from './host-errors.ts';

/**
 * Makes `path` free to listen on. A socket that nobody listens on, left by a program that was killed, is removed;
 * rejects with one line that names `path` when somebody does, or when it is anything else than a socket.
 */
export async function clearSocketPath(path: string): Promise<void> {
  const found = lstatSync(path, { throwIfNoEntry: false });
  // libuv calls this EACCES when it binds.
  if (!existsSync(dirname(path))) throw new Error(`${path}: there is no folder ${dirname(path)}`);
  if (found === undefined) return;
  if (!found.isSocket()) throw new Error(`${path} exists and is not a socket`);
  const code = await probe(path);
  if (code === '') throw new Error(`${path}: somebody listens there already`);
  if (code === 'ENOENT') return;
  if (code !== 'ECONNREFUSED') throw new Error(`${path} exists, and connecting to it says ${code}`);
  unlinkSync(path);
}

/** Connects to `path`: the code of the error, or nothing. */
function probe(path: string): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect({ path });
    socket.on('connect', () => {
      socket.destroy();
      resolve('');
    });
    socket.on('error', (error) => resolve(errorCode(error)));
  });
}

/**
 * Starts to listen on `path`, with mode 0600 whatever the umask. Node makes the socket before listen() returns, so a
 * umask for that moment leaves no time at which another user could connect. Throws where that is not so (in a worker
 * thread, which has no umask). 'listening' or 'error' follow.
 */
export function listenPrivately(server: Server, path: string): void {
  const umask = process.umask(0o177);
  try {
    server.listen({ path, exclusive: true });
  } finally {
    process.umask(umask);
  }
  const made = lstatSync(path, { throwIfNoEntry: false });
  // Nothing there: the error comes as an event.
  if (made === undefined || !made.isSocket() || (made.mode & 0o777) === 0o600) return;
  server.close();
  throw new Error(`${path}: the socket could not be made for its owner alone`);
}
