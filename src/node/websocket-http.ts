// What our HTTP servers have in common: they listen, make WebSockets, and answer nothing else.

import { type Server, STATUS_CODES } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import { type ServerOptions, WebSocketServer } from 'ws';

/** How long a client may take to answer that the connection is being closed. */
export const CLOSE_MS = 1000;
/** Of a message: each of them keeps the whole of what the socket has read with it. */
const MAX_FRAGMENTS = 16;
const MAX_CHUNKS = 1024;

/** Binds `server`; resolves to the port. Rejects with one line that begins with `title`. */
export function listenAt(server: Server, host: string, port: number, title: string): Promise<number> {
  if (!Number.isInteger(port) || port < 0 || port > 0xffff)
    return Promise.reject(new RangeError(`${title}: the port is not within 0 to 65535`));
  return new Promise((resolve, reject) => {
    const onError = (error: Error): void => reject(new Error(`${title}: ${error.message}`));
    server.once('error', onError);
    server.listen({ host, port, exclusive: true }, () => {
      server.off('error', onError);
      // An accept(2) that failed leaves nothing to clean up.
      server.on('error', () => {});
      resolve((server.address() as AddressInfo).port);
    });
  });
}

/** Makes WebSockets of upgrades, in the subprotocol `protocol` if that is asked for. */
export function upgraderFor(
  messages: Pick<ServerOptions, 'maxPayload' | 'skipUTF8Validation'>,
  protocol: string,
): WebSocketServer {
  const options = {
    ...{ noServer: true, clientTracking: false, perMessageDeflate: false, ...messages },
    ...{ maxFragments: MAX_FRAGMENTS, maxBufferedChunks: MAX_CHUNKS },
    handleProtocols: (asked: Set<string>) => (asked.has(protocol) ? protocol : false),
    closeTimeout: CLOSE_MS,
  } as const;
  return new WebSocketServer(options);
}

/** Answers with `status` and a line that says why, and ends the connection. */
export function answerRefusal(socket: Duplex, status: number, reason: string): void {
  // Requests in one go are refused as one.
  if (socket.writableEnded) return;
  socket.on('error', () => socket.destroy());
  if (!socket.writable) {
    socket.destroy();
    return;
  }
  const body = `${reason}\n`;
  const headers = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
    ...['Connection: close', 'Content-Type: text/plain; charset=utf-8'],
    // RFC 9110 15.5.22.
    ...(status === 426 ? ['Upgrade: websocket'] : []),
    `Content-Length: ${Buffer.byteLength(body)}`,
  ];
  socket.once('finish', () => socket.destroy());
  socket.end(`${headers.join('\r\n')}\r\n\r\n${body}`);
}
