// The host's servers, on every address of its loopback device and on their usual ports, so that a capture explains itself.
// What they say is text that counts its lines: whoever reads the capture sees at once where something is missing.

import { createHash } from 'node:crypto';
import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { once } from 'node:events';
import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer, type Server, type Socket } from 'node:net';

export const Port = {
  /** TCP and UDP: says what it is told. TCP: ends when the guest does. */
  echo: 7,
  /** TCP: reads to the end, then says how many bytes that were, then 20 000 more, then ends. */
  count: 8,
  /** TCP: reads to the end and closes. */
  discard: 9,
  /** TCP: says a line and ends its side at once; then reads to the end. */
  daytime: 13,
  /** HTTP: GET /BYTES, PUT /. */
  http: 80,
  /** TCP: resets the connection when the guest has said something. */
  resetOnData: 201,
  /** TCP: says 5000 bytes, and resets the connection when the guest answers. */
  resetAfterData: 202,
  /** TCP: resets the connection at once. */
  resetAtOnce: 203,
  /** TCP and UDP: nobody. */
  closed: 81,
} as const;

/** `length` bytes of lines of 32. */
export function text(length: number): Buffer {
  const lines: string[] = [];
  for (let at = 0; at < length; at += 32) lines.push(`byte ${at} `.padEnd(31, '.'));
  return Buffer.from(`${lines.join('\n')}\n`).subarray(0, length);
}

export class Servers {
  /** What the web server has beside texts of any length, by path. */
  readonly files = new Map<string, Buffer>();
  private readonly open: (Server | UdpSocket)[] = [];
  private readonly waiting = new Map<string, () => void>();

  static async open(): Promise<Servers> {
    const servers = new Servers();
    await servers.tcp(Port.echo, (socket) => void socket.pipe(socket));
    await servers.tcp(Port.count, count);
    await servers.tcp(Port.discard, (socket) => void socket.resume().on('end', () => socket.end()));
    await servers.tcp(Port.daytime, (socket) => void socket.resume().end('26 NOV 2026 12:00:00 UTC\r\n'));
    await servers.tcp(Port.resetOnData, (socket) => void socket.once('data', () => socket.resetAndDestroy()));
    await servers.tcp(Port.resetAfterData, (socket) => {
      socket.write(text(5000));
      socket.once('data', () => socket.resetAndDestroy());
    });
    await servers.tcp(Port.resetAtOnce, (socket) => void socket.resetAndDestroy());
    await servers.listen(
      createHttpServer(
        { keepAliveTimeout: 1000 },
        (request, response) => void servers.answer(request, response),
      ),
      Port.http,
    );
    await servers.udpEcho();
    return servers;
  }

  close(): void {
    for (const each of this.open) each.close();
  }

  /** Resolves when the web server is asked for `path`. */
  request(path: string): Promise<void> {
    return new Promise((resolve) => this.waiting.set(path, resolve));
  }

  /** GET /20000 gives a text of that length, another path a file; a body is answered with its digest. */
  private async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = request.url ?? '';
    const hash = createHash('sha256');
    let length = 0;
    for await (const chunk of request as AsyncIterable<Buffer>) {
      hash.update(chunk);
      length += chunk.length;
    }
    const size = /^\/(\d{1,7})$/.exec(path)?.[1];
    const body = size === undefined ? this.files.get(path) : text(Number(size));
    if (request.method !== 'GET') response.end(`${length} bytes, sha256 ${hash.digest('hex')}\n`);
    else if (body === undefined) response.writeHead(404).end('not here\n');
    else response.writeHead(200, { 'content-type': 'text/plain', 'content-length': body.length }).end(body);
    this.waiting.get(path)?.();
    this.waiting.delete(path);
  }

  private tcp(port: number, onConnection: (socket: Socket) => void): Promise<void> {
    const server = createServer({ allowHalfOpen: true }, (socket) => {
      // The guest may well reset it.
      socket.on('error', () => socket.destroy());
      onConnection(socket);
    });
    return this.listen(server, port);
  }

  private async listen(server: Server, port: number): Promise<void> {
    server.listen(port, '0.0.0.0');
    await once(server, 'listening');
    this.open.push(server);
  }

  private async udpEcho(): Promise<void> {
    const size = 1 << 20;
    const socket = createSocket({ type: 'udp4', recvBufferSize: size, sendBufferSize: size });
    socket.on('message', (message, from) => socket.send(message, from.port, from.address));
    socket.bind(Port.echo, '0.0.0.0');
    await once(socket, 'listening');
    this.open.push(socket);
  }
}

function count(socket: Socket): void {
  let bytes = 0;
  socket.on('data', (chunk) => {
    bytes += chunk.length;
  });
  socket.on('end', () => socket.end(Buffer.concat([Buffer.from(`${bytes} bytes\n`), text(20_000)])));
}
