// The host's side of `usernet demo`: a web server and a UDP echo on loopback, and a port where nobody listens. Payload
// is one random block over and over, so that digests are known beforehand and only the receiver has to hash.

import { createHash, randomBytes } from 'node:crypto';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { type AddressInfo, createServer as createTcpServer } from 'node:net';

const BLOCK_LEN = 1 << 20;
const LOOPBACK = '127.0.0.1';

/** What both sides know of the payload. */
export class Payload {
  readonly block = randomBytes(BLOCK_LEN);
  readonly length: number;
  /** SHA-256 of all of it, in hexadecimal. */
  readonly digest: string;

  /** `mebibytes` times the block. */
  constructor(mebibytes: number) {
    this.length = mebibytes * BLOCK_LEN;
    const hash = createHash('sha256');
    for (let i = 0; i < mebibytes; i++) hash.update(this.block);
    this.digest = hash.digest('hex');
  }
}

export class DemoHost {
  readonly httpPort: number;
  readonly echoPort: number;
  /** A port that was free a moment ago. */
  readonly closedPort: number;
  private readonly server: Server;
  private readonly echo: Socket;

  private constructor(server: Server, echo: Socket, closedPort: number) {
    this.server = server;
    this.echo = echo;
    this.httpPort = (server.address() as AddressInfo).port;
    this.echoPort = echo.address().port;
    this.closedPort = closedPort;
  }

  static async start(payload: Payload): Promise<DemoHost> {
    const server = createServer((request, response) => serve(request, response, payload));
    server.listen(0, LOOPBACK);
    const echo = createSocket({ type: 'udp4', recvBufferSize: 1 << 20 });
    echo.on('message', (data, from) => echo.send(data, from.port, from.address));
    echo.bind(0, LOOPBACK);
    await Promise.all([once(server, 'listening'), once(echo, 'listening')]);
    return new DemoHost(server, echo, await unusedPort());
  }

  close(): void {
    this.server.close();
    this.server.closeAllConnections();
    this.echo.close();
  }
}

/** GET: the payload. POST: answers with the digest of what was sent. */
function serve(request: IncomingMessage, response: ServerResponse, payload: Payload): void {
  request.on('error', () => response.destroy());
  if (request.method === 'GET') {
    response.writeHead(200, { 'Content-Length': payload.length, Connection: 'close' });
    let left = payload.length;
    const more = (): void => {
      while (left > 0) {
        left -= BLOCK_LEN;
        if (!response.write(payload.block) && left > 0) {
          response.once('drain', more);
          return;
        }
      }
      response.end();
    };
    more();
    return;
  }
  const hash = createHash('sha256');
  request.on('data', (chunk: Buffer) => hash.update(chunk));
  request.on('end', () => {
    const body = hash.digest('hex');
    response.writeHead(200, { 'Content-Length': body.length, Connection: 'close' });
    response.end(body);
  });
}

async function unusedPort(): Promise<number> {
  const server = createTcpServer();
  server.listen(0, LOOPBACK);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
