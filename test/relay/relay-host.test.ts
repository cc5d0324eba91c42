// The client's side: an engine with a guest, and a server that says whatever the test has it say, or is ours.

import { expect, test } from 'vitest';
import { ManualClock } from '../../src/base/manual-clock.ts';
import { Timers } from '../../src/base/timers.ts';
import { Turn } from '../../src/base/turn.ts';
import { EmbeddedGuest } from '../../src/guest/guest.ts';
import { HostBindError } from '../../src/host/host-network.ts';
import { createPair } from '../../src/link/pair.ts';
import { createNetwork, type Network } from '../../src/network/network.ts';
import { duplexOffer } from '../../src/relay/duplex.ts';
import { RelayHost, type RelayHostOptions } from '../../src/relay/relay-host.ts';
import { DEFAULT_LIMITS, RelayCounters } from '../../src/relay/relay-rules.ts';
import { RelaySession } from '../../src/relay/relay-session.ts';
import * as wisp from '../../src/relay/wisp.ts';
import { SocketRecord, SplitClock, to } from '../support/guest-bench.ts';
import { MemoryListener, type MemorySocket } from '../support/relay-sockets.ts';
import { describePacket, PlayedOutside } from '../support/relay-world.ts';
import { SeededRandom } from '../support/seeded-random.ts';

const NOTHING = new Uint8Array(0);
const UDP = { id: wisp.ExtensionId.Udp, payload: NOTHING };
const OPEN = { id: wisp.ExtensionId.StreamOpen, payload: NOTHING };

class HostBench {
  readonly clock = new ManualClock();
  readonly listener = new MemoryListener(this.clock);
  readonly host: RelayHost;
  readonly network: Network;
  readonly guest: EmbeddedGuest;
  readonly states: string[] = [];
  /** The server's end. */
  server: MemorySocket | null = null;
  private seen = 0;
  readonly clocks = new SplitClock(this.clock);

  constructor(options: Partial<RelayHostOptions> = {}) {
    const random = new SeededRandom(1);
    this.listener.onSocket = (socket) => {
      this.server = socket;
      this.seen = 0;
    };
    this.host = new RelayHost({
      ...{ dial: this.listener.dial, clock: this.clocks.part() },
      onState: (state, why) => this.states.push(`${state} ${why}`.trim()),
      ...options,
    });
    this.network = createNetwork(
      {},
      { clock: this.clocks.part(), random, host: this.host, makeView: (buffer) => Buffer.from(buffer) },
    );
    const pair = createPair('guest0', 1514);
    this.network.attach(pair.link);
    this.guest = new EmbeddedGuest({ host: this.network, random, link: pair.peer });
    void this.guest.boot();
    this.clock.advance(100);
  }

  /** A server of version 2 with these extensions greets. */
  greet(extensions: readonly wisp.Extension[], credit = 4): this {
    this.says(wisp.info(extensions), wisp.continuation(0, credit));
    return this;
  }

  says(...packets: readonly Uint8Array[]): void {
    for (const packet of packets) this.server!.send(packet);
    this.clock.advance(10);
  }

  /** What the client has said since the last call. */
  news(): string[] {
    this.clock.advance(10);
    const all = this.server!.received.slice(this.seen);
    this.seen = this.server!.received.length;
    return all.map(describePacket);
  }

  connect(user = new SocketRecord()): SocketRecord {
    this.guest.connectTcp(to('203.0.113.9', 80), user);
    this.clock.advance(10);
    return user;
  }

  async close(): Promise<void> {
    this.guest.close();
    let isClosed = false;
    void this.network.close().then(() => {
      isClosed = true;
    });
    for (let i = 0; i < 100 && !isClosed; i++) {
      this.clock.advance(100);
      await Promise.resolve();
    }
    expect(isClosed).toBe(true);
  }
}

test('version 2: INFO is answered, and a confirmed stream opens when it is confirmed', () => {
  const bench = new HostBench().greet([UDP, OPEN]);
  expect(bench.news()).toEqual(['INFO 2 [1,5]']);
  const user = bench.connect();
  expect(bench.news()).toEqual(['CONNECT 1 tcp 203.0.113.9 80']);
  bench.clock.advance(3000);
  expect(user.events).toEqual([]);
  bench.says(wisp.continuation(1, 4));
  expect(user.events).toEqual(['open']);
});

test('every refusal reaches the guest as what it is', () => {
  const bench = new HostBench().greet([OPEN]);
  const ends: Record<number, string> = { 68: 'refused', 66: 'unreachable', 72: 'unreachable', 3: 'refused' };
  let id = 0;
  for (const [reason, end] of Object.entries(ends)) {
    const user = bench.connect();
    bench.says(wisp.close(++id, Number(reason)));
    expect([reason, user.events]).toEqual([reason, [end]]);
  }
});

test('version 1: CONTINUE first; a stream is believed to be open after 100 ms without a refusal', () => {
  const bench = new HostBench();
  bench.says(wisp.continuation(0, 4));
  expect([bench.host.stats().version, bench.news()]).toEqual([1, []]);
  const user = bench.connect();
  expect(user.events).toEqual([]);
  bench.clock.advance(110);
  expect(user.events).toEqual(['open']);
  // An early draft has INFO behind it.
  bench.says(wisp.info([UDP]));
  expect([bench.host.stats().version, bench.news().at(-1)]).toEqual([2, 'INFO 2 [1,5]']);
});

test('a server that does not choose the subprotocol is dialled without, and one that is down again and again', () => {
  const bench = new HostBench();
  bench.listener.isUp = false;
  bench.server!.close(1001, 'bye');
  bench.clock.advance(10);
  expect(bench.host.stats().state).toBe('resting');
  const lost = bench.connect();
  expect(lost.events).toEqual(['unreachable']);
  bench.clock.advance(1000 + 2000 + 4000 + 500);
  const offers = bench.listener.dials.map((protocols) => protocols.join());
  expect(offers.slice(1)).toEqual(['wisp-v2', '', 'wisp-v2', '', 'wisp-v2', '']);
  bench.listener.isUp = true;
  bench.listener.knows = [];
  bench.clock.advance(10_000);
  bench.says(wisp.continuation(0, 4));
  expect([bench.host.stats().state, bench.host.stats().version, bench.listener.dials.at(-1)]).toEqual([
    'ready',
    1,
    [],
  ]);
});

test('credit: no more packets than the server buffers, the next with CONTINUE', () => {
  const bench = new HostBench().greet([OPEN, duplexOffer(8)], 2);
  const user = bench.connect();
  bench.says(wisp.continuation(1, 2));
  bench.news();
  user.write(new Uint8Array(200_000));
  bench.clock.advance(500);
  const first = bench.news().filter((line) => line.startsWith('DATA'));
  expect(first).toHaveLength(2);
  expect(user.isAllWritten).toBe(true);
  let bytes = first.reduce((sum, line) => sum + Number(line.split(' ')[2]), 0);
  for (let i = 0; i < 100 && bytes < 200_000; i++) {
    bench.says(wisp.continuation(1, 1));
    const more = bench.news().filter((line) => line.startsWith('DATA'));
    expect(more.length).toBeLessThanOrEqual(1);
    bytes += more.reduce((sum, line) => sum + Number(line.split(' ')[2]), 0);
  }
  expect(bytes).toBe(200_000);
});

test('a server that does not count: what waits is bounded, and the stream that has the most is reset', () => {
  const bench = new HostBench({ bufferBytes: 4 << 20 }).greet([OPEN]);
  const slow = new SocketRecord();
  slow.reads = false;
  bench.connect(slow);
  const quick = bench.connect();
  bench.says(wisp.continuation(1, 4), wisp.continuation(2, 4));
  for (let i = 0; i < 120; i++)
    bench.says(wisp.data(1, new Uint8Array(65_536)), wisp.data(2, new Uint8Array(100)));
  expect(bench.news()).toContain('CLOSE 1 81');
  expect(bench.host.stats()).toMatchObject({ overflows: 1, arrivedBytes: 0, streams: 1 });
  // The engine says so behind what it has.
  slow.reads = true;
  slow.onReadable(slow.socket!);
  bench.clock.advance(2000);
  expect(slow.events.at(-1)).toBe('reset');
  expect([quick.events, quick.bytes.length]).toEqual([['open'], 12_000]);
});

test('plain: CLOSE is the remote FIN; the FIN of the guest closes after 5 s of silence', () => {
  const bench = new HostBench().greet([OPEN]);
  const user = bench.connect();
  bench.says(wisp.continuation(1, 4), wisp.data(1, Buffer.from('bye')), wisp.close(1, 2));
  expect([user.text, user.events]).toEqual(['bye', ['open', 'end']]);
  const other = bench.connect();
  bench.says(wisp.continuation(2, 4));
  other.socket!.end();
  bench.clock.advance(4000);
  bench.says(wisp.data(2, Buffer.from('late')));
  bench.clock.advance(4000);
  expect(bench.news()).not.toContain('CLOSE 2 2');
  bench.clock.advance(1500);
  expect([other.text, bench.news()]).toEqual(['late', ['CLOSE 2 2']]);
});

test('a lost relay resets its streams, and is dialled again', () => {
  const bench = new HostBench().greet([OPEN]);
  const user = bench.connect();
  bench.says(wisp.continuation(1, 4));
  bench.server!.close(1001, 'bye');
  bench.clock.advance(10);
  expect(user.events).toEqual(['open', 'reset']);
  bench.clock.advance(1000);
  bench.greet([OPEN]);
  expect(bench.states).toEqual(['ready', 'lost the relay has closed the connection (1001: bye)', 'ready']);
});

test('UDP is not permitted where it is not negotiated; names are asked for over TCP', () => {
  const bench = new HostBench({ resolvers: ['192.0.2.53:5353'] }).greet([OPEN]);
  const codes: number[] = [];
  const user = bench.guest.openUdp({ onUnreachable: (code) => codes.push(code) });
  user.send(to('203.0.113.9', 9), Buffer.from('x'));
  bench.clock.advance(10);
  expect(codes).toEqual([13]);
  const answers: Buffer[] = [];
  const asker = bench.guest.openUdp({ onDatagram: (data) => answers.push(Buffer.from(data)) });
  const query = Buffer.from('12340100000100000000000001610000010001', 'hex');
  asker.send(to('10.0.2.3', 53), query);
  bench.clock.advance(10);
  expect(bench.news()).toEqual([
    'INFO 2 [1,5]',
    'CONNECT 1 tcp 192.0.2.53 5353',
    expect.stringContaining('DATA 1'),
  ]);
  const asked = Buffer.from(bench.server!.received.at(-1)!.subarray(wisp.HEADER_LEN + 2));
  const answer = Buffer.from(asked);
  answer[2] = 0x81;
  answer[3] = 0x80;
  const framed = Buffer.concat([Buffer.of(0, answer.length), answer]);
  bench.says(
    wisp.data(1, framed.subarray(0, 1)),
    wisp.data(1, framed.subarray(1, 9)),
    wisp.data(1, framed.subarray(9)),
  );
  expect(answers.map((one) => one.toString('hex'))).toEqual([
    `123481800001${query.subarray(6).toString('hex')}`,
  ]);
  expect(bench.news()).toEqual(['CLOSE 1 2']);
});

test('a socket has 64 remotes and 16 queries over TCP: what goes for more is counted', () => {
  const bench = new HostBench({ resolvers: ['192.0.2.53'] }).greet([UDP, OPEN]);
  const user = bench.guest.openUdp({});
  bench.news();
  for (let i = 0; i < 65; i++) {
    user.send(to(`203.0.113.${i + 1}`, 9), Buffer.from('x'));
    bench.clock.advance(1);
  }
  const closes = bench.news().filter((packet) => packet.startsWith('CLOSE'));
  expect({ closes, ...bench.host.stats() }).toMatchObject({ closes: ['CLOSE 1 2'], evictedRemotes: 1 });
  const plain = new HostBench({ resolvers: ['192.0.2.53'] }).greet([OPEN]);
  const asker = plain.guest.openUdp({});
  // Straight to the resolver, so that all queries are of one socket.
  for (let i = 0; i < 17; i++) asker.send(to('192.0.2.53', 53), Buffer.alloc(20, i));
  plain.clock.advance(10);
  expect(plain.host.stats()).toMatchObject({ lostQueries: 1, udpSockets: 1 });
});

test('a relay cannot listen, and says so', async () => {
  const bench = new HostBench();
  const wanted = bench.host.listenTcp(to('127.0.0.1', 8080));
  await expect(wanted).rejects.toThrow(new HostBindError('tcp 127.0.0.1:8080: a relay cannot listen'));
  await expect(bench.host.bindUdp(to('127.0.0.1', 53))).rejects.toThrow('a relay cannot listen');
});

test('a wrong option is named', () => {
  const make = (options: object) => () => new HostBench(options);
  expect(make({ resolvers: ['1.1.1.1', 'dns.example'] })).toThrow(
    "resolvers[1]: 'dns.example' is no address",
  );
  expect(make({ reconnectMs: 0 })).toThrow('reconnectMs: 0');
  expect(make({ bufferBytes: 1 })).toThrow('bufferBytes: 1');
});

test('whatever a server sends, nothing throws and nothing stays', async () => {
  for (let seed = 1; seed <= 60; seed++) {
    const random = new SeededRandom(seed);
    const bench = new HostBench().greet([UDP, OPEN, ...(seed % 2 === 0 ? [duplexOffer(8)] : [])]);
    const users = [bench.connect(), bench.connect(), bench.connect()];
    for (let i = 0; i < 60; i++) {
      if (bench.server!.closedWith !== null) bench.clock.advance(3000);
      const bytes = Uint8Array.from({ length: random.below(24) }, () => random.below(256));
      if (bytes.length >= 5 && random.below(16) > 0)
        bytes.set([1 + random.below(5), random.below(4), 0, 0, 0]);
      bench.says(bytes);
      for (const user of users) if (user.events.length === 1 && random.below(8) === 0) user.write('x');
    }
    await bench.close();
    const { arena, timers } = bench.network.stats();
    expect([arena.used, timers, bench.host.stats().streams, bench.host.timers.armed]).toEqual([0, 0, 0, 0]);
  }
});

test('both sides ours: what is written arrives, each direction ends by itself', () => {
  const bench = new HostBench();
  const outside = new PlayedOutside();
  outside.onConnect = (host) => bench.clock.soon(() => host.open());
  const clock = bench.clocks.part();
  const timers = new Timers(clock, new Turn(clock));
  const rules = { judge: () => true, udp: true, credentials: null, limits: DEFAULT_LIMITS };
  new RelaySession(bench.server!, { outside, rules, counters: new RelayCounters(), timers }, () => {});
  bench.clock.advance(10);
  const user = bench.connect();
  bench.clock.advance(10);
  user.write('question');
  bench.clock.advance(10);
  user.socket!.end();
  bench.clock.advance(10);
  const [host] = outside.tcp;
  expect([host!.text, host!.calls]).toEqual(['question', ['end']]);
  host!.gives('answer');
  bench.clock.advance(10);
  host!.events.onEnd();
  bench.clock.advance(10);
  expect([user.text, user.events]).toEqual(['answer', ['open', 'end']]);
  expect(bench.host.stats()).toMatchObject({ version: 2, streams: 0, strayPackets: 0 });
});

test('a server that counts and sends beyond what it was granted: the stream is reset, and counted', () => {
  const bench = new HostBench().greet([OPEN, duplexOffer(8)]);
  const user = new SocketRecord();
  user.reads = false;
  bench.connect(user);
  bench.says(wisp.continuation(1, 8));
  const packet = wisp.data(1, new Uint8Array(65_000));
  for (let i = 0; i < 300; i++) bench.server!.send(packet);
  bench.clock.advance(10);
  expect(bench.host.stats().overflows).toBe(1);
  expect(bench.news().at(-1)).toMatch(/^CLOSE 1 /);
});

test('while the relay takes nothing no stream begins, and one that ends meanwhile costs it nothing', () => {
  const bench = new HostBench().greet([OPEN]);
  const mine = bench.server!.other!;
  let buffered = 2 << 20;
  Object.defineProperty(mine, 'bufferedAmount', { get: () => buffered });
  bench.news();
  for (let i = 0; i < 20; i++) bench.connect();
  for (const { id } of bench.network.flows().slice(1)) bench.network.kill(id);
  bench.clock.advance(10);
  expect(bench.news()).toEqual([]);
  buffered = 0;
  bench.host.onDrain();
  expect(bench.news()).toEqual(['CONNECT 1 tcp 203.0.113.9 80']);
});

test('queries that were under way when the relay was lost are over', () => {
  const bench = new HostBench({ resolvers: ['192.0.2.53'] }).greet([OPEN]);
  const udp = bench.guest.openUdp({});
  udp.send(
    to('10.0.2.3', 53),
    Buffer.from('00010100000100000000000003777777076578616d706c650000010001', 'hex'),
  );
  bench.clock.advance(50);
  expect(bench.news().filter((line) => line.startsWith('CONNECT'))).toHaveLength(1);
  bench.server!.close(1001, '');
  bench.clock.advance(60_000);
  bench.greet([OPEN]);
  expect(bench.news().filter((line) => line.startsWith('CONNECT'))).toEqual([]);
});

test('text that crosses close() does not wake the link again; a dial that throws is one that failed', async () => {
  const bench = new HostBench().greet([OPEN]);
  const closing = bench.network.close();
  bench.server!.text();
  bench.clock.advance(2000);
  for (let i = 0; i < 8; i++) await null;
  bench.clock.advance(2000);
  await closing;
  expect(bench.host.stats().state).toBe('over');

  const states: string[] = [];
  const throwing = new HostBench({
    dial: () => {
      throw new Error('not allowed');
    },
    onState: (state, why) => {
      states.push(`${state} ${why}`);
      throw new Error('no log');
    },
    reconnectMs: 100,
  });
  throwing.clock.advance(500);
  expect(states.slice(0, 2)).toEqual(Array(2).fill('lost the relay cannot be dialled: Error: not allowed'));
  await throwing.close();
});

test('plain wisp: what waits for credit is sent before the guest’s FIN counts as silence', () => {
  const bench = new HostBench();
  bench.says(wisp.continuation(0, 1));
  const user = bench.connect();
  bench.clock.advance(200);
  user.write(new Uint8Array(100_000));
  bench.clock.advance(10);
  user.socket!.end();
  bench.clock.advance(20_000);
  expect(bench.news().filter((line) => line.startsWith('CLOSE'))).toEqual([]);
  bench.says(wisp.continuation(1, 100));
  bench.clock.advance(10);
  expect(bench.news().filter((line) => line.startsWith('DATA')).length).toBeGreaterThan(1);
  bench.clock.advance(6000);
  expect(bench.news().at(-1)).toBe('CLOSE 1 2');
});
