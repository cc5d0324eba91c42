// Node's host under test, without a network around it, and servers to connect to.

import { once } from 'node:events';
import type { AddressInfo, Server, Socket } from 'node:net';
import { createServer } from 'node:net';
import { expect } from 'vitest';
import type { Endpoint } from '../../src/base/addr.ts';
import { NodeClock } from '../../src/node/clock.ts';
import { NodeHost, type NodeHostOptions } from '../../src/node/host-sockets.ts';
import { at, StreamRecord, takeBlock } from './host-sink.ts';
import { newHost } from './link-bench.ts';

const cleanups: (() => unknown)[] = [];

/** Closes what bench() and serve() have opened. */
export async function closeAll(): Promise<void> {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
}

/** `what` is done by closeAll(). */
export function atTheEnd(what: () => unknown): void {
  cleanups.push(what);
}

/** A NodeHost, and what a test asks of it; its arena must be given back. */
export function bench(options: NodeHostOptions = {}) {
  const context = newHost(new NodeClock(), 16 << 20);
  const used = context.arena.used;
  const host = new NodeHost(options);
  host.start(context);
  cleanups.push(async () => {
    await host.close();
    blocks.forEach((give) => {
      give();
    });
    expect(context.arena.used).toBe(used + taken);
  });
  const blocks: (() => void)[] = [];
  let taken = 0;
  const block = (bytes: number): number => {
    taken += bytes;
    return takeBlock(context, bytes);
  };
  const dial = (to: Endpoint, record = new StreamRecord(context)): StreamRecord => {
    record.stream = host.connectTcp(to, record);
    return record;
  };
  return { context, host, dial, block };
}

/** A server of the host's own on 127.0.0.1; `first`: the first connection that it has. */
export async function serve(
  onSocket: (socket: Socket) => void,
  options = {},
): Promise<Endpoint & { server: Server; first: Promise<Socket> }> {
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true, ...options }, (socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    onSocket(socket);
  });
  const first = new Promise<Socket>((resolve) => server.once('connection', resolve));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  cleanups.push(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return { ...at('127.0.0.1', (server.address() as AddressInfo).port), server, first };
}

/** Lets the event loop go round `n` times. */
export async function rounds(n: number): Promise<void> {
  for (let i = 0; i < n; i++) await new Promise((resolve) => setImmediate(resolve));
}
