// Run as a program by test/e2e/idle.test.ts: both ends of what engines carry, the guests' connections and the servers of
// the host that they lead to. It measures how long the engines take.

import { once } from 'node:events';
import type { AddressInfo, Socket } from 'node:net';
import { createServer } from 'node:net';
import { type Connection, ManyConnections } from './many-connections.ts';
import { answer } from './pinned.ts';

const ECHO_BYTES = 64;
const SERVERS = 8;

/** Engines by the names the test gives them. */
const guests = new Map<string, { guest: ManyConnections; idle: Connection[]; active: Connection }>();
const sockets = new Set<Socket>();
const ports: number[] = [];

function serve(socket: Socket): void {
  sockets.add(socket);
  socket.on('error', () => {});
  socket.on('data', (chunk) => socket.write(chunk));
  socket.on('end', () => socket.end());
  socket.on('close', () => sockets.delete(socket));
}

// On several ports: where one has most of the kernel's ephemeral ports connected to it, the search for a free one is all
// that a connect takes.
for (let i = 0; i < SERVERS; i++) {
  const server = createServer({ allowHalfOpen: true, noDelay: true }, serve);
  server.listen(0, '127.0.0.1', 4096);
  await once(server, 'listening');
  ports.push((server.address() as AddressInfo).port);
}

function of(name: string) {
  const found = guests.get(name);
  if (found === undefined) throw new Error(`no engine ${name}`);
  return found;
}

const answers = {
  /** A guest on the engine at `path`, with one connection for echoes. */
  async plug(name: string, path: string): Promise<void> {
    const guest = await ManyConnections.plug(path);
    const [active] = await guest.open(1, ports);
    guests.set(name, { guest, idle: [], active: active! });
  },

  /** `count` connections more that have carried a few bytes both ways and are idle now. */
  async hold(name: string, count: number): Promise<void> {
    const { guest, idle } = of(name);
    const opened = await guest.open(count, ports);
    await guest.echoAll(opened, ECHO_BYTES);
    idle.push(...opened);
  },

  /** Ends the idle ones in order. */
  async release(name: string): Promise<void> {
    const { guest, idle } = of(name);
    await guest.close(idle);
    idle.length = 0;
  },

  /** Ends the last connection, the one for echoes. */
  async finish(name: string): Promise<void> {
    const { guest, active } = of(name);
    await guest.close([active]);
  },

  /** Microseconds of each of `count` echoes. */
  async echo(name: string, count: number): Promise<number[]> {
    const { guest, active } = of(name);
    const took: number[] = [];
    for (let i = 0; i < count; i++) {
      const start = performance.now();
      await guest.echo(active, ECHO_BYTES);
      took.push((performance.now() - start) * 1000);
    }
    return took;
  },

  /** Microseconds that `count` connects took, all under way at once; they are reset afterwards. */
  async connect(name: string, count: number): Promise<number> {
    const { guest, active } = of(name);
    const start = performance.now();
    const opened = await guest.open(count, ports);
    const took = (performance.now() - start) * 1000;
    guest.reset(opened);
    // The engine has done with the resets when it answers what came behind them.
    await guest.echo(active, ECHO_BYTES);
    return took;
  },

  /** `count` connects and closes, some at a time; every second time the host is the first to close. */
  async churn(name: string, count: number, atOnce: number): Promise<void> {
    const { guest } = of(name);
    for (let left = count; left > 0; left -= atOnce) {
      const before = new Set(sockets);
      const opened = await guest.open(Math.min(atOnce, left), ports);
      if ((left / atOnce) % 2 < 1) await guest.close(opened);
      else {
        // All of them are accepted when each has answered.
        await guest.echoAll(opened, ECHO_BYTES);
        for (const socket of sockets) if (!before.has(socket)) socket.end();
        await guest.closeAfterThem(opened);
      }
    }
  },

  /** Sockets of the host's servers that are open, and resets that the engine has sent. */
  sockets: () => sockets.size,
  resets: (name: string) => of(name).guest.resets,
};
export type PeerAnswers = typeof answers;
answer(answers);
