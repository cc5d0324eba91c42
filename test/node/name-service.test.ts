// The name service over real sockets: a resolver on this host's loopback, played by the test.

import { createSocket, type RemoteInfo } from 'node:dgram';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { Arena } from '../../src/base/arena.ts';
import { DropCounters } from '../../src/base/drop.ts';
import { createMemory } from '../../src/base/memory.ts';
import type { Region } from '../../src/base/region.ts';
import { Timers } from '../../src/base/timers.ts';
import { Turn } from '../../src/base/turn.ts';
import type { HostStream, HostStreamEvents } from '../../src/host/host-network.ts';
import { parseConfig } from '../../src/network/config.ts';
import { NodeClock } from '../../src/node/clock.ts';
import { NodeHost } from '../../src/node/host-sockets.ts';
import { NodeRandom } from '../../src/node/random.ts';
import { DnsRelay } from '../../src/services/dns-relay.ts';
import type { DatagramHandler, Peer } from '../../src/services/service.ts';
import { answerTo, dnsQuery, framed } from '../support/dns-messages.ts';
import { peer } from '../support/fake-ports.ts';

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

const GUEST = peer('10.0.2.15', 40000);
const RDATA = [192, 0, 2, 80];

/** A resolver on a UDP and a TCP port of the same number that answers everything; its "host:port". */
async function startResolver(): Promise<{ at: string; queries: Uint8Array[] }> {
  const queries: Uint8Array[] = [];
  const udp = createSocket('udp4');
  udp.on('message', (query: Buffer, from: RemoteInfo) => {
    queries.push(Uint8Array.from(query));
    udp.send(answerTo(query, RDATA), from.port, from.address);
  });
  const tcp = createServer((socket) => {
    socket.on('error', () => socket.destroy());
    socket.on('data', (bytes) =>
      socket.write(framed(answerTo(bytes.subarray(2), new Array(30_000).fill(1)))),
    );
  });
  tcp.listen(0, '127.0.0.1');
  await once(tcp, 'listening');
  const { port } = tcp.address() as AddressInfo;
  udp.bind(port, '127.0.0.1');
  await once(udp, 'listening');
  closers.push(() => udp.close());
  closers.push(() => tcp.close());
  return { at: `127.0.0.1:${port}`, queries };
}

/** A relay on real sockets with the guest's side in the test's hands. */
function startRelay(resolver: string) {
  const clock = new NodeClock();
  const arena = new Arena(createMemory(8 << 20, (buffer) => Buffer.from(buffer)));
  const turn = new Turn(clock);
  const timers = new Timers(clock, turn);
  const host = new NodeHost();
  const settings = parseConfig({ dns: { resolvers: [resolver] } });
  const relay = new DnsRelay(new NodeRandom(), host, settings, settings.dns!, new DropCounters());
  let handler: DatagramHandler | null = null;
  let accept: ((events: HostStreamEvents, from: Peer) => HostStream) | null = null;
  let answered: (answer: Uint8Array) => void = () => {};
  host.start({ arena, turn, clock });
  relay.start({
    arena,
    clock,
    turn,
    timers,
    bindUdp: (_address, _port, onDatagram) => {
      handler = onDatagram;
      return { send: (payload) => answered(Uint8Array.from(payload)), close: () => {} };
    },
    bindTcp: (_address, _port, onConnect) => {
      accept = onConnect;
    },
  });
  closers.push(() => host.close());
  closers.push(() => relay.stop());
  const at = arena.take(65536, arena.scratchAccount);
  return {
    arena,
    at,
    turn,
    accept: (events: HostStreamEvents): HostStream => accept!(events, GUEST),
    ask: (query: Uint8Array): Promise<Uint8Array> =>
      new Promise((resolve) => {
        answered = resolve;
        arena.memory.bytes.set(query, at);
        turn.run(() => void handler!(at, query.length, GUEST, turn.now));
      }),
  };
}

test('UDP: the answer of a resolver on the loopback comes back; nothing else is sent to it', async () => {
  const resolver = await startResolver();
  const relay = startRelay(resolver.at);
  const query = dnsQuery(0x1234, 'www.example.org');
  expect(await relay.ask(query)).toEqual(answerTo(query, RDATA));
  expect(resolver.queries.length).toBe(1);
  expect([...resolver.queries[0]!.subarray(2)]).toEqual([...query.subarray(2)]);
});

test('UDP: nobody on the port is SERVFAIL long before the time is up', async () => {
  const resolver = await startResolver();
  const relay = startRelay(resolver.at);
  for (const close of closers.splice(0, 2)) close();
  const before = performance.now();
  const answer = await relay.ask(dnsQuery(0x1234, 'www.example.org'));
  expect(answer[3]! & 15).toBe(2);
  expect(performance.now() - before).toBeLessThan(1900);
});

test('TCP: 30000 bytes come back over a connection, which then ends in order', async () => {
  const resolver = await startResolver();
  const relay = startRelay(resolver.at);
  const { bytes } = relay.arena.memory;
  const query = dnsQuery(0x4321, 'www.example.org');
  const expected = framed(answerTo(query, new Array(30_000).fill(1)));
  const received: number[] = [];
  const closed = new Promise<unknown>((resolve) => {
    let stream: HostStream | null = null;
    const events: HostStreamEvents = {
      onOpen: () => {},
      reserveRead: (_: Region) => {},
      onRead: (off, len) => {
        received.push(...bytes.subarray(off, off + len));
        if (received.length === expected.length) stream!.end();
        return true;
      },
      onWritten: () => {},
      onEnd: () => {},
      onClose: resolve,
    };
    relay.turn.run(() => {
      stream = relay.accept(events);
      stream.resume();
      bytes.set(framed(query), relay.at);
      expect(stream.write(relay.at, query.length + 2)).toBe(true);
    });
  });
  expect(await closed).toBeNull();
  expect(Uint8Array.from(received)).toEqual(expected);
});
