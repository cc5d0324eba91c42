import { describe, expect, test } from 'vitest';
import { type Endpoint, formatEndpoint } from '../../src/base/addr.ts';
import type { PlayedDatagrams } from '../../src/host/played-host.ts';
import { NetworkBench, SocketRecord, to } from '../support/guest-bench.ts';

const NOTHING = { flows: 0, timers: 0, arena: 0 };

/** A guest that echoes on port 53, forwards to it, and what it heard. */
async function echoing(hosts: readonly string[]): Promise<{
  bench: NetworkBench;
  forwards: PlayedDatagrams[];
  peers: string[];
}> {
  const forwarded = hosts.map((host) => ({ proto: 'udp', host, guest: '10.0.2.15:53' }) as const);
  const bench = new NetworkBench({ forwards: forwarded });
  await bench.network.start();
  const guest = await bench.boot();
  const peers: string[] = [];
  const socket = guest.openUdp(
    {
      onDatagram: (data, from) => {
        peers.push(formatEndpoint(from));
        socket.send(from, Uint8Array.from(data));
      },
    },
    53,
  );
  return { bench, forwards: bench.host.sockets.filter((one) => one.at !== null), peers };
}

function answers(forward: PlayedDatagrams): string[] {
  return forward.sent.map(
    (one) => `${Buffer.from(one.data).toString('latin1')} to ${formatEndpoint(one.to)}`,
  );
}

describe('clients of a UDP forward', () => {
  const clients: readonly Endpoint[] = [to('127.0.0.1', 5353), to('::1', 5353), to('2001:db8::9', 5353)];

  test('that have one name in the guest get an answer each: two on loopback, or over IPv6, with one port', async () => {
    const { bench, forwards, peers } = await echoing(['127.0.0.1:53']);
    const [forward] = forwards;
    for (let round = 0; round < 2; round++) {
      for (const client of clients) forward!.gives(formatEndpoint(client), client);
      bench.clock.advance(5);
    }
    const own = clients.map((client) => `${formatEndpoint(client)} to ${formatEndpoint(client)}`);
    expect(answers(forward!)).toEqual([...own, ...own]);
    expect(new Set(peers).size).toBe(3);
    expect(peers[0]).toBe('10.0.2.2:5353');
    expect(peers.slice(3)).toEqual(peers.slice(0, 3));
    expect(await bench.close()).toEqual(NOTHING);
  });

  test('of two forwards to one port: the answer leaves by the one that was asked', async () => {
    const { bench, forwards } = await echoing(['127.0.0.1:53', '127.0.0.1:54']);
    for (const forward of forwards) forward.gives(formatEndpoint(forward.at!), clients[0]!);
    bench.clock.advance(5);
    expect(forwards.map(answers)).toEqual([
      ['127.0.0.1:53 to 127.0.0.1:5353'],
      ['127.0.0.1:54 to 127.0.0.1:5353'],
    ]);
    expect(await bench.close()).toEqual(NOTHING);
  });
});

test('a UDP forward whose socket ends by itself is told of, and its guest speaks through a flow again', async () => {
  const said: string[] = [];
  const forward = { proto: 'udp', host: '127.0.0.1:53', guest: '10.0.2.15:53' } as const;
  const bench = new NetworkBench({ forwards: [forward] }, { error: ({ message }) => said.push(message) });
  await bench.network.start();
  const guest = await bench.boot();
  const socket = guest.openUdp({}, 53);
  const bound = bench.host.sockets.find((one) => one.at !== null)!;
  bound.gives('hello', to('198.51.100.9', 5353));
  bench.clock.advance(5);
  bound.fails('refused');
  bound.fails('failed');
  bench.clock.advance(5);
  expect(said).toEqual(['forward udp 127.0.0.1:53 has ended: failed']);
  socket.send(to('198.51.100.9', 5353), Buffer.from('answer'));
  bench.clock.advance(5);
  expect(bench.network.stats().flows.udp).toBe(1);
  expect(await bench.close()).toEqual(NOTHING);
});

test('a guest whose SYNs nobody answers can still be reached, and asks the name service', async () => {
  const bench = new NetworkBench({
    limits: { pendingConnects: 1 },
    forwards: [{ proto: 'tcp', host: '127.0.0.1:2222', guest: '10.0.2.15:22' }],
  });
  await bench.network.start();
  const guest = await bench.boot();
  guest.listenTcp(22, () => ({}));
  const records = [to('192.0.2.1', 80), to('192.0.2.2', 80), to('10.0.2.3', 53)].map((peer) => {
    const record = new SocketRecord();
    guest.connectTcp(peer, record);
    return record;
  });
  const client = bench.host.connects(to('127.0.0.1', 2222), to('127.0.0.1', 50_000));
  bench.clock.advance(20);
  expect(records.map((record) => record.events)).toEqual([[], ['refused'], ['open']]);
  expect(client?.reading).toBe(true);
  expect(bench.network.stats().losses).toEqual({ PendingConnectsFull: 1 });
  expect(await bench.close()).toEqual(NOTHING);
});
