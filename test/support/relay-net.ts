// An engine whose host is a relay, with a guest on a cable, and servers on loopback: nothing is played, the WebSocket and
// the sockets are real.

import { createHash } from 'node:crypto';
import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { EmbeddedGuest } from '../../src/guest/guest.ts';
import { createPair } from '../../src/link/pair.ts';
import type { Network } from '../../src/network/network.ts';
import { NodeClock } from '../../src/node/clock.ts';
import { createNodeNetwork } from '../../src/node/node-network.ts';
import { dialWs } from '../../src/node/relay-dial.ts';
import { RelayHost, type RelayHostOptions } from '../../src/relay/relay-host.ts';
import { type SocketRecord, to } from './guest-bench.ts';
import { SeededRandom } from './seeded-random.ts';

export class RelayNet {
  readonly host: RelayHost;
  readonly network: Network;
  readonly guest: EmbeddedGuest;

  constructor(url: string, options: Partial<RelayHostOptions> = {}) {
    this.host = new RelayHost({ dial: dialWs(url), clock: new NodeClock(), ...options });
    this.network = createNodeNetwork({ hostLoopback: true }, { host: this.host });
    const pair = createPair('guest0', 1514);
    this.network.attach(pair.link);
    this.guest = new EmbeddedGuest({
      host: this.network,
      random: new SeededRandom(1),
      link: pair.peer,
    });
  }

  /** Connects to a server on loopback, which a guest knows as the gateway. */
  connect(port: number, user: SocketRecord): void {
    this.guest.connectTcp(to('10.0.2.2', port), user);
  }

  async close(): Promise<void> {
    this.guest.close();
    await this.network.close();
  }
}

/** Listens on loopback. */
export async function serve(onSocket: (socket: Socket) => void): Promise<{ port: number; server: Server }> {
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => {});
    onSocket(socket);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { port: (server.address() as AddressInfo).port, server };
}

/** A UDP port on loopback that answers each datagram as `answer` says. */
export async function serveUdp(
  answer: (data: Buffer) => Buffer,
): Promise<{ port: number; socket: UdpSocket }> {
  const socket = createSocket('udp4');
  socket.on('message', (data, from) => socket.send(answer(data), from.port, from.address));
  socket.bind(0, '127.0.0.1');
  await once(socket, 'listening');
  return { port: socket.address().port, socket };
}

/** A port that nobody listens on. */
export async function closedPort(): Promise<number> {
  const { port, server } = await serve(() => {});
  server.close();
  await once(server, 'close');
  return port;
}

export function pattern(length: number, seed: number): Buffer {
  const bytes = Buffer.alloc(length);
  const random = new SeededRandom(seed);
  for (let i = 0; i + 4 <= length; i += 4) bytes.writeInt32LE(random.word(), i);
  return bytes;
}

export function digest(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
