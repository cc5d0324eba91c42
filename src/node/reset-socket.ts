import type { Socket } from 'node:net';

/**
 * Ends the connection by RST, whatever is pending. Behind our FIN by close(2): the kernel goes on sending what it has, and
 * answers by RST what comes; where something has come that nobody has read, at once (RFC 1122 4.2.2.13). 'close' follows.
 */
export function resetSocket(socket: Socket): void {
  const finIsOut = socket.writableEnded && socket.writableLength === 0;
  if (socket.connecting) socket.destroy();
  else if (!finIsOut) socket.resetAndDestroy();
  else if (socket.writableFinished) socket.destroy();
  // Between end() and shutdown(2) libuv refuses a reset, and the socket would stay for ever.
  else socket.once('finish', () => socket.destroy());
}
