// Servers on the host for the guest to talk to, and streams of bytes whose digests both sides know.

import { createCipheriv, createHash } from 'node:crypto';
import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { Readable } from 'node:stream';

export interface TcpServer {
  readonly port: number;
  readonly server: Server;
  close(): void;
}

/** A TCP server on 127.0.0.1, half-open connections allowed. Errors of its connections end them. */
export async function listen(onConnection: (socket: Socket) => void, port = 0): Promise<TcpServer> {
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket)).on('error', () => socket.destroy());
    onConnection(socket);
  });
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  const close = () => {
    server.close();
    for (const socket of sockets) socket.destroy();
  };
  return { port: (server.address() as AddressInfo).port, server, close };
}

export interface UdpEcho {
  readonly port: number;
  /** Lengths of the datagrams that came. */
  readonly lengths: number[];
  close(): void;
}

export async function udpEcho(): Promise<UdpEcho> {
  const socket: UdpSocket = createSocket({ type: 'udp4', recvBufferSize: 1 << 20, sendBufferSize: 1 << 20 });
  const lengths: number[] = [];
  socket.on('message', (message, from) => {
    lengths.push(message.length);
    socket.send(message, from.port, from.address);
  });
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  return { port: socket.address().port, lengths, close: () => socket.close() };
}

/** A port of 127.0.0.1 on which nobody listens, neither TCP nor UDP, a moment ago. */
export async function freePort(): Promise<number> {
  const { port, close } = await listen(() => {});
  close();
  return port;
}

const BLOCK = 1 << 18;

/** `length` bytes that differ everywhere: a cipher's key stream, chosen by `seed`. */
export function* bytes(length: number, seed: number): Generator<Buffer> {
  const key = Buffer.alloc(16, seed);
  const cipher = createCipheriv('aes-128-ctr', key, Buffer.alloc(16));
  const zeros = Buffer.alloc(BLOCK);
  for (let left = length; left > 0; left -= BLOCK) {
    yield cipher.update(left < BLOCK ? zeros.subarray(0, left) : zeros);
  }
}

export function byteStream(length: number, seed: number): Readable {
  return Readable.from(bytes(length, seed), { objectMode: false, highWaterMark: BLOCK });
}

/** As md5sum(1) prints it: the guest has that and little time. */
export function digest(length: number, seed: number): string {
  const hash = createHash('md5');
  for (const block of bytes(length, seed)) hash.update(block);
  return hash.digest('hex');
}

export interface Digest {
  readonly digest: string;
  readonly length: number;
}

/** The digest of everything that `socket` brings until its end. */
export async function digestOf(socket: Socket): Promise<Digest> {
  const hash = createHash('md5');
  let length = 0;
  for await (const chunk of socket as AsyncIterable<Buffer>) {
    hash.update(chunk);
    length += chunk.length;
  }
  return { digest: hash.digest('hex'), length };
}

/** A promise and what settles it. */
export function deferred<T>(): {
  readonly promise: Promise<T>;
  readonly resolve: (value: T) => void;
  readonly reject: (error: unknown) => void;
} {
  let resolve: (value: T) => void = () => {};
  let reject: (error: unknown) => void = () => {};
  const promise = new Promise<T>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  return { promise, resolve, reject };
}
