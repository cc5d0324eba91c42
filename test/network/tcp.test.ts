import { beforeEach, describe, expect, test } from 'vitest';
import type { EmbeddedGuest } from '../../src/guest/guest.ts';
import type { TcpFlowStats } from '../../src/nat/flow-stats.ts';
import { NetworkBench, SocketRecord, to } from '../support/guest-bench.ts';
import { pattern } from '../support/link-bench.ts';
import { ACK, RST, SYN, tcp } from '../support/raw-frames.ts';
import { RawBench } from '../support/raw-guest.ts';
import { starve } from '../support/starve.ts';

const SYN_ACK = 'Flags [S.]';
const RESET = 'Flags [R.]';
/** What a flow may hold in each direction, if nobody says otherwise: limits.flowBytes. */
const FLOW_BYTES = 1 << 20;
const NOTHING = { flows: 0, timers: 0, arena: 0 };

let bench: NetworkBench;
let guest: EmbeddedGuest;
let record: SocketRecord;

beforeEach(async () => {
  bench = new NetworkBench();
  guest = await bench.boot();
  record = new SocketRecord();
});

/** A connection to a host that takes it. */
function connected(): void {
  record.socket = guest.connectTcp(to('10.0.2.2', 80), record);
  bench.clock.advance(5);
  bench.host.stream.open();
  bench.clock.advance(5);
  expect(record.events).toEqual(['open']);
}

describe('opening', () => {
  test('the SYN-ACK waits for the host', () => {
    guest.connectTcp(to('198.51.100.7', 80), record);
    bench.clock.advance(5000);
    expect(bench.seen(SYN_ACK)).toEqual([]);
    expect(record.events).toEqual([]);
    expect(bench.host.stream.to).toEqual(to('198.51.100.7', 80));
    bench.host.stream.open();
    bench.clock.advance(5);
    expect(bench.seen(SYN_ACK)).toHaveLength(1);
    expect(record.events).toEqual(['open']);
  });

  test('what the host says before the handshake is over is read at once, and reaches the guest before its reset', () => {
    const raw = new RawBench();
    raw.sends(tcp({ sport: 5000, seq: 1000, flags: SYN }));
    raw.host.stream.open().gives('bye');
    raw.clock.runSoon();
    expect(raw.host.stream.undelivered).toBe(0);
    raw.host.stream.fail('reset');
    raw.clock.runSoon();
    const synAck = raw.link.lastTcp;
    expect(synAck.flags).toBe(SYN | ACK);
    const ack = (synAck.seq + 1) >>> 0;
    raw.sends(tcp({ sport: 5000, seq: 1001, ack, flags: ACK }));
    expect(raw.link.lastTcp.seq).toBe(ack);
    expect(raw.link.lastTcp.len).toBe(3);
    raw.sends(tcp({ sport: 5000, seq: 1001, ack: ack + 3, flags: ACK }));
    expect(raw.link.lastTcp.flags & RST).toBe(RST);
    expect(raw.link.lastTcp.seq).toBe((ack + 3) >>> 0);
  });

  test("the gateway is the host's loopback", () => {
    guest.connectTcp(to('10.0.2.2', 8080), record);
    bench.clock.advance(5);
    expect(bench.host.stream.to).toEqual(to('127.0.0.1', 8080));
  });

  test('refused: RST|ACK at once, and no SYN-ACK before', async () => {
    guest.connectTcp(to('10.0.2.2', 81), record);
    bench.clock.advance(5);
    bench.host.stream.fail('refused');
    bench.clock.advance(5);
    expect(record.events).toEqual(['refused']);
    expect(bench.seen(SYN_ACK)).toEqual([]);
    expect(bench.seen(RESET)).toHaveLength(1);
    expect(bench.ended.map((flow) => flow.reason)).toEqual(['refused']);
    expect(await bench.close()).toEqual(NOTHING);
  });

  test.each([
    ['host-unreachable', 'ICMP host unreachable, about 10.0.2.15'],
    ['net-unreachable', 'ICMP net unreachable, about 10.0.2.15'],
    ['not-permitted', 'admin prohibited'],
  ] as const)('RFC 792: %s is an ICMP error, no reset', async (error, text) => {
    guest.connectTcp(to('198.51.100.7', 80), record);
    bench.clock.advance(5);
    bench.host.stream.fail(error);
    bench.clock.advance(5);
    expect(bench.lines.at(-1)).toContain(text);
    expect(bench.seen('Flags [R')).toEqual([]);
    expect(record.events).toEqual(['unreachable']);
    expect(await bench.close()).toEqual(NOTHING);
  });

  test('silence: nothing for 75 s, then RST|ACK', async () => {
    guest.connectTcp(to('198.51.100.7', 80), record);
    bench.clock.advance(74_900);
    expect(bench.seen(SYN_ACK)).toEqual([]);
    expect(bench.seen(RESET)).toEqual([]);
    expect(bench.network.stats().flows.tcp).toBe(1);
    bench.clock.advance(200);
    expect(bench.seen(RESET)).toHaveLength(1);
    expect(record.events).toEqual(['refused']);
    expect(bench.host.stream.wasReset).toBe(true);
    expect(bench.ended.map((flow) => flow.reason)).toEqual(['timed-out']);
    expect(await bench.close()).toEqual(NOTHING);
  });

  test('200 connects into silence do not hold up one to a live port', () => {
    for (let i = 0; i < 200; i++) guest.connectTcp(to('198.51.100.7', 1000 + i), {});
    bench.clock.advance(5);
    expect(bench.host.openStreams).toHaveLength(200);
    connected();
  });

  test('the guest gives up first: the host is told', () => {
    const socket = guest.connectTcp(to('198.51.100.7', 80), record);
    bench.clock.advance(5);
    socket.reset();
    bench.clock.advance(200_000);
    expect(bench.network.stats().flows.tcp).toBe(0);
    expect(bench.host.openStreams).toEqual([]);
  });
});

describe('data and the end', () => {
  test('bytes arrive in both directions, in order', () => {
    connected();
    record.write('hello');
    bench.clock.advance(5);
    expect(bench.host.stream.text).toBe('hello');
    bench.host.stream.gives('world');
    bench.clock.advance(5);
    expect(record.text).toBe('world');
  });

  test('what looks like an address or a port in them is nothing to us: FTP, IRC, SIP', () => {
    connected();
    const said = [
      'PORT 10,0,2,15,19,136\r\n',
      '227 Entering Passive Mode (10,0,2,15,19,136)\r\n',
      'PRIVMSG you :\x01DCC SEND file 167772687 5000 1024\x01\r\n',
      'INVITE sip:you@10.0.2.2 SIP/2.0\r\nVia: SIP/2.0/TCP 10.0.2.15:5060\r\n\r\n',
    ];
    for (const line of said) {
      record.write(line);
      bench.clock.advance(5);
      bench.host.stream.gives(line);
      bench.clock.advance(5);
    }
    expect(bench.host.stream.text).toBe(said.join(''));
    expect(record.text).toBe(said.join(''));
  });

  test('half-close by the guest: the host may send 10 MiB and then FIN', async () => {
    bench.keepLines = false;
    connected();
    record.write('question');
    record.socket?.end();
    bench.clock.advance(5);
    expect(bench.host.stream.text).toBe('question');
    expect(bench.host.stream.ended).toBe(true);
    const answer = pattern(1, 10 << 20);
    bench.host.stream.gives(answer).ends();
    for (let i = 0; i < 2000 && record.events.length < 2; i++) bench.clock.advance(1);
    expect(record.events).toEqual(['open', 'end']);
    expect(record.bytes.equals(answer)).toBe(true);
    bench.clock.advance(20_000);
    expect(record.events).toEqual(['open', 'end', 'normal']);
    expect(bench.network.stats().flows.tcp).toBe(0);
    expect(bench.ended.map((flow) => flow.reason)).toEqual(['closed']);
    expect(await bench.close()).toEqual(NOTHING);
  });

  test('half-close by the host: the guest may send 10 MiB and then FIN', async () => {
    bench.keepLines = false;
    connected();
    bench.host.stream.gives('go').ends();
    bench.clock.advance(5);
    expect(record.text).toBe('go');
    expect(record.events).toEqual(['open', 'end']);
    const answer = pattern(2, 10 << 20);
    record.write(answer);
    for (let i = 0; i < 2000 && bench.host.stream.written.length < answer.length; i++) bench.clock.advance(1);
    expect(bench.host.stream.ended).toBe(false);
    record.socket?.end();
    bench.clock.advance(5);
    expect(bench.host.stream.ended).toBe(true);
    expect(Buffer.from(bench.host.stream.written).equals(answer)).toBe(true);
    bench.clock.advance(20_000);
    expect(bench.network.stats().flows.tcp).toBe(0);
    expect(await bench.close()).toEqual(NOTHING);
  });

  test('both sides close at once: nothing is lost', async () => {
    connected();
    record.write('last words');
    record.socket?.end();
    bench.host.stream.gives('mine too').ends();
    bench.clock.advance(20_000);
    expect(bench.host.stream.text).toBe('last words');
    expect(record.text).toBe('mine too');
    expect(record.events).toEqual(['open', 'end', 'normal']);
    expect(bench.ended.map((flow) => flow.reason)).toEqual(['closed']);
    expect(await bench.close()).toEqual(NOTHING);
  });

  test("a reset by the guest resets the host's side at once", async () => {
    connected();
    record.socket?.reset();
    bench.clock.advance(5);
    expect(bench.host.stream.wasReset).toBe(true);
    expect(bench.ended.map((flow) => flow.reason)).toEqual(['guest-reset']);
    expect(await bench.close()).toEqual(NOTHING);
  });

  test('a reset by the host reaches the guest behind the data that came before it', async () => {
    connected();
    const data = pattern(3, 300_000);
    bench.host.stream.gives(data);
    bench.clock.runSoon(60);
    while (bench.host.stream.undelivered > 0) bench.clock.runSoon(1);
    bench.host.stream.fail('reset');
    bench.clock.advance(1000);
    expect(record.bytes.equals(data)).toBe(true);
    expect(record.events).toEqual(['open', 'reset']);
    expect(bench.ended.map((flow) => flow.reason)).toEqual(['host-reset']);
    expect(await bench.close()).toEqual(NOTHING);
  });

  test.each([true, false])(
    'what the arena had no room for comes later; the host resets meanwhile: %s',
    async (resets) => {
      connected();
      const giveBack = starve(bench.network.arena);
      const data = pattern(10, 10_000);
      bench.host.stream.gives(data);
      bench.clock.advance(100);
      expect(bench.network.stats().losses).toEqual({ ArenaFull: 1 });
      expect(record.bytes).toHaveLength(0);
      if (resets) bench.host.stream.fail('reset');
      else bench.host.stream.ends();
      bench.clock.advance(100);
      giveBack();
      bench.clock.advance(100);
      expect(record.bytes.equals(data)).toBe(true);
      expect(record.events).toEqual(['open', resets ? 'reset' : 'end']);
      expect(await bench.close()).toEqual(NOTHING);
    },
  );

  test('a guest that does not read closes its window; nothing is lost when it reads again', async () => {
    bench.keepLines = false;
    connected();
    record.reads = false;
    const data = pattern(4, 4 << 20);
    bench.host.stream.gives(data);
    bench.clock.advance(30_000);
    // Both rings are full, and the host is not read any more: of what was, each byte lies in one of them.
    const inGuest = record.socket!.readable;
    expect(inGuest).toBeLessThanOrEqual(2 * 65536);
    const read = data.length - bench.host.stream.undelivered;
    expect(read).toBeLessThanOrEqual(inGuest + FLOW_BYTES);
    const [flow] = bench.network.flows();
    expect(flow).toMatchObject({ bytesToGuest: read, hostPaused: true, guestWindowClosed: true });
    // One byte is a window probe.
    expect(flow).toMatchObject({ queues: { unacked: 1, unsent: read - inGuest - 1, spilled: 0 } });
    record.reads = true;
    record.onReadable(record.socket!);
    for (let i = 0; i < 190 && record.bytes.length < data.length; i++) bench.clock.advance(1);
    expect(record.bytes.equals(data)).toBe(true);
    bench.host.stream.ends();
    record.socket?.end();
    bench.clock.advance(20_000);
    expect(await bench.close()).toEqual(NOTHING);
  });

  test('a host that does not take closes the window for the guest; nothing is lost afterwards', async () => {
    bench.keepLines = false;
    connected();
    bench.host.stream.holdWrites = true;
    const data = pattern(5, 4 << 20);
    record.write(data);
    bench.clock.advance(30_000);
    expect(bench.host.stream.written).toHaveLength(0);
    const flow = bench.network.flows()[0] as TcpFlowStats;
    expect(flow).toMatchObject({ bytesToHost: 0, ownWindowClosed: true, rcvWnd: 0 });
    expect(flow.queues.toHost).toBeGreaterThanOrEqual(65536);
    expect(flow.queues.toHost).toBeLessThanOrEqual(FLOW_BYTES);
    bench.host.stream.holdWrites = false;
    bench.host.stream.letGo();
    for (let i = 0; i < 200 && bench.host.stream.written.length < data.length; i++) bench.clock.advance(1);
    expect(Buffer.from(bench.host.stream.written).equals(data)).toBe(true);
    expect(await bench.close()).toEqual(NOTHING);
  });

  test("the guest's cable is pulled: what it had finished saying is still delivered, then all is gone", async () => {
    connected();
    bench.host.stream.holdWrites = true;
    record.write('last words');
    record.socket?.end();
    bench.clock.advance(5);
    guest.close();
    bench.clock.advance(5);
    expect(bench.network.stats().links.map((link) => link.up)).toEqual([false]);
    bench.host.stream.letGo();
    bench.clock.advance(5);
    expect(bench.host.stream.text).toBe('last words');
    expect(bench.host.stream.ended).toBe(true);
    bench.host.stream.ends();
    bench.clock.advance(5);
    expect(bench.ended.map((flow) => flow.reason)).toEqual(['guest-gone']);
    expect(await bench.close()).toEqual(NOTHING);
  });

  test("the guest's cable is pulled in the middle of something: the host's side is reset", async () => {
    connected();
    record.write('half a sent');
    bench.clock.advance(5);
    guest.close();
    bench.clock.advance(5);
    expect(bench.host.stream.wasReset).toBe(true);
    expect(bench.network.stats().flows.tcp).toBe(0);
    expect(await bench.close()).toEqual(NOTHING);
  });

  test('the network is closed under a flow: the guest sees a reset, the host as well', async () => {
    connected();
    const closed = bench.network.close();
    bench.clock.runSoon();
    await closed;
    expect(record.events).toEqual(['open', 'reset']);
    expect(bench.host.stream.wasReset).toBe(true);
    expect(await bench.close()).toEqual(NOTHING);
  });
});

describe('sequence numbers wrap', () => {
  test('RFC 9293 3.4: both begin at 0xffffff00 and carry 4 MiB each way', async () => {
    const wrapping = new NetworkBench();
    const machine = await wrapping.boot('wrap', { iss: () => 0xffffff00 | 0 });
    wrapping.forceIss(0xffffff00);
    const user = new SocketRecord();
    user.socket = machine.connectTcp(to('10.0.2.2', 80), user);
    wrapping.clock.advance(5);
    const { stream } = wrapping.host;
    stream.open();
    wrapping.clock.advance(5);
    expect(wrapping.seen('seq 4294967040')).toHaveLength(2);
    wrapping.keepLines = false;
    const [up, down] = [pattern(6, 4 << 20), pattern(7, 4 << 20)];
    user.write(up);
    stream.gives(down).ends();
    for (let i = 0; i < 3000 && stream.written.length < up.length; i++) wrapping.clock.advance(1);
    user.socket.end();
    wrapping.clock.advance(20_000);
    expect(Buffer.from(stream.written).equals(up)).toBe(true);
    expect(user.bytes.equals(down)).toBe(true);
    expect(user.events).toEqual(['open', 'end', 'normal']);
    expect(wrapping.network.stats().tcp.retransmits).toBe(0);
    expect(await wrapping.close()).toEqual(NOTHING);
  });
});

describe('two guests on one switch', () => {
  test('they reach each other without the gateway, sequence numbers wrapping', async () => {
    const other = await bench.boot('b', { iss: () => 0xffffffff | 0 });
    const server = new SocketRecord();
    other.listenTcp(22, (socket) => {
      server.socket = socket;
      return server;
    });
    bench.lines.length = 0;
    record.socket = guest.connectTcp(to('10.0.2.16', 22), record);
    bench.clock.advance(5);
    expect(record.events).toEqual(['open']);
    expect(server.events).toEqual(['open']);
    bench.keepLines = false;
    const [up, down] = [pattern(8, 2 << 20), pattern(9, 2 << 20)];
    record.write(up);
    server.write(down);
    for (let i = 0; i < 2000 && (server.bytes.length < up.length || record.bytes.length < down.length); i++)
      bench.clock.advance(1);
    expect(server.bytes.equals(up)).toBe(true);
    expect(record.bytes.equals(down)).toBe(true);
    expect(bench.network.stats().flows.tcpOpened).toBe(0);
    expect(await bench.close()).toEqual(NOTHING);
  });

  test('a port where nobody listens is refused by the other guest', async () => {
    await bench.boot('b');
    guest.connectTcp(to('10.0.2.16', 23), record);
    bench.clock.advance(5);
    expect(record.events).toEqual(['refused']);
    await bench.close();
  });

  test('RFC 9293 3.9.2.3 (MUST-57): a SYN to everybody opens nothing, and nobody answers', async () => {
    const other = await bench.boot('b');
    other.listenTcp(22, () => record);
    guest.connectTcp(to('10.0.2.255', 22), record);
    bench.clock.advance(100);
    expect(bench.seen('10.0.2.255.22: Flags [S]')).not.toEqual([]);
    expect(bench.seen(SYN_ACK)).toEqual([]);
    expect(bench.seen('Flags [R')).toEqual([]);
    expect(other.drops.dropSnapshot()).toHaveProperty('Ipv4NotRouted');
    await bench.close();
  });

  test('a guest whose port does not read blocks nobody else', async () => {
    const other = await bench.boot('b');
    const sink = new SocketRecord();
    sink.reads = false;
    other.listenTcp(9, () => sink);
    record.socket = guest.connectTcp(to('10.0.2.16', 9), record);
    bench.clock.advance(5);
    record.write(pattern(1, 4 << 20));
    bench.clock.advance(1000);
    const second = new SocketRecord();
    second.socket = guest.connectTcp(to('10.0.2.2', 80), second);
    bench.clock.advance(5);
    bench.host.stream.open();
    bench.clock.advance(5);
    expect(second.events).toEqual(['open']);
    await bench.close();
  });
});
