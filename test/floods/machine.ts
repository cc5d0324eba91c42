// The process that is measured: a network, and on one link of it a well-behaved guest with the host's servers that it talks
// to. All of that is one thread, so what a flood costs is what is missing for the guest. The floods come from elsewhere.

import { randomBytes } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { EmbeddedGuest } from '../../src/guest/guest.ts';
import { createGuestHost } from '../../src/guest/guest-host.ts';
import type { GuestSocket, GuestSocketEvents } from '../../src/guest/tcp-socket.ts';
import type { Link } from '../../src/link/link.ts';
import { NodeClock } from '../../src/node/clock.ts';
import { createNodeNetwork } from '../../src/node/node-network.ts';
import { dialQemu, listenQemu } from '../../src/node/qemu-port.ts';
import { NodeRandom } from '../../src/node/random.ts';
import { answer } from '../e2e/support/pinned.ts';
import { to } from '../support/guest-bench.ts';

const MIB = 1 << 20;
const BLOCK = randomBytes(MIB);
const path = process.argv[2]!;

const nameServer = createSocket('udp4');
// As a resolver that does not know the name would.
nameServer.on('message', (query, from) => {
  query[2] = 0x81;
  query[3] = 0x83;
  nameServer.send(query, from.port, from.address);
});
nameServer.bind(0, '127.0.0.1');
await once(nameServer, 'listening');

const network = createNodeNetwork({ dns: { resolvers: [`127.0.0.1:${nameServer.address().port}`] } });
await network.start();
await listenQemu({ kind: 'unix', path, server: true }, (link) => network.attach(link));

const link = await new Promise<Link>((resolve, reject) => {
  dialQemu({ kind: 'unix', path, server: false }, resolve).catch(reject);
});
const host = createGuestHost(new NodeClock(), 16 * MIB, (buffer) => Buffer.from(buffer));
const guest = new EmbeddedGuest({ host, random: new NodeRandom(), link });
await guest.boot();

/** Counts bytes and says when there are enough. */
class Meter {
  received = 0;
  private wanted = Number.POSITIVE_INFINITY;
  private wake: () => void = () => {};

  add(len: number): void {
    this.received += len;
    if (this.received >= this.wanted) this.wake();
  }

  gets(more: number): Promise<void> {
    this.wanted = this.received + more;
    return new Promise((resolve) => (this.wake = resolve));
  }
}

class Upload implements GuestSocketEvents {
  private left = 0;
  private socket: GuestSocket | null = null;

  onOpen(socket: GuestSocket): void {
    this.socket = socket;
    this.onWritable();
  }

  onWritable(): void {
    if (this.socket !== null) this.left -= this.socket.fill(this.left, (_off, len) => len);
  }

  send(len: number): void {
    this.left += len;
    this.onWritable();
  }
}

async function serve(meter: Meter, events: GuestSocketEvents): Promise<{ socket: Socket; port: number }> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { own } = guest.connectTcp(to('10.0.2.2', (server.address() as AddressInfo).port), events);
  const [socket] = (await once(server, 'connection')) as [Socket];
  socket.on('data', (chunk) => meter.add(chunk.length));
  return { socket, port: own.port };
}

const upMeter = new Meter();
const upload = new Upload();
const up = await serve(upMeter, upload);
const downMeter = new Meter();
const down = await serve(new Meter(), {
  onReadable: (socket) => downMeter.add(socket.consume((_off, len) => len)),
});

/** Time that this thread has had of a processor. */
function threadMs(): number {
  return Number(readFileSync('/proc/thread-self/schedstat', 'latin1').split(' ')[0]) / 1e6;
}

async function move(direction: 'up' | 'down', mib: number): Promise<{ cpuMs: number; ms: number }> {
  const meter = direction === 'up' ? upMeter : downMeter;
  const work = meter.gets(mib * MIB);
  const [cpu, start] = [threadMs(), performance.now()];
  if (direction === 'up') upload.send(mib * MIB);
  else for (let i = 0; i < mib; i++) down.socket.write(BLOCK);
  await work;
  return { cpuMs: threadMs() - cpu, ms: performance.now() - start };
}

const answers = {
  victim: () => ({ mac: guest.mac, address: guest.config!.address, ports: [up.port, down.port] }),
  move,
  stats: () => network.stats(),
  memory: () => {
    globalThis.gc?.();
    return process.memoryUsage();
  },
};
export type MachineAnswers = typeof answers;
answer(answers);
