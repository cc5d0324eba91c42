// TCP and the layers below it: whose segments count, what IP options and ICMP messages of a guest do to a connection, and
// a port that is used again. RFC 9293 3.6.1, 3.9.2. A whole network, and a guest that says what no kernel would.

import { describe, expect, test } from 'vitest';
import { ACK, BROADCAST_MAC, FIN, ipv4, isTcp, readTcp, SYN, tcp } from '../support/raw-frames.ts';
import { RawBench } from '../support/raw-guest.ts';

/** Nothing was opened towards the host, and nobody was answered. */
function expectIgnored(bench: RawBench): void {
  bench.clock.advance(1000);
  expect(bench.host.streams).toEqual([]);
  expect(bench.link.frames.filter(isTcp)).toEqual([]);
  expect(bench.network.stats().flows.tcp).toBe(0);
}

describe('RFC 9293 3.9.2.3: addresses that nobody has', () => {
  test.each([
    '0.0.0.0',
    '127.0.0.1',
    '192.0.2.1',
    '224.0.0.1',
    '255.255.255.255',
    '10.0.2.255',
    '10.0.2.2',
    '10.0.2.3',
  ])('MUST-63: a SYN from %s is ignored', (src) => {
    const bench = new RawBench();
    bench.sends(tcp({ src }), tcp({ src, dst: '198.51.100.7' }));
    expectIgnored(bench);
  });

  test.each([
    '10.0.2.255',
    '255.255.255.255',
    '224.0.0.1',
    '239.255.255.250',
    '0.0.0.0',
    '127.0.0.1',
    '240.0.0.1',
  ])('MUST-46, 57: a SYN to %s is discarded without a word', (dst) => {
    const bench = new RawBench();
    bench.sends(tcp({ dst }), tcp({ dst, to: BROADCAST_MAC }));
    expectIgnored(bench);
  });

  test('MUST-57: nor is one answered that came to everybody with the address of one', () => {
    const bench = new RawBench();
    bench.sends(tcp({ to: BROADCAST_MAC }), tcp({ to: '01:00:5e:00:00:01' }));
    expectIgnored(bench);
  });
});

test('RFC 9293 3.9.1.1 (MUST-45): every segment of a connection is from the address that the guest asked', () => {
  const bench = new RawBench();
  const dst = '198.51.100.7';
  bench.sends(tcp({ dst }));
  bench.host.stream.open();
  bench.clock.runSoon();
  const ack = (bench.link.lastTcp.seq + 1) >>> 0;
  bench.sends(tcp({ dst, seq: 1001, ack, flags: ACK }, 'question'));
  bench.host.stream.gives('answer').ends();
  bench.clock.advance(5000);
  const segments = bench.link.frames.filter(isTcp);
  expect(segments.length).toBeGreaterThan(4);
  for (const frame of segments) expect([...frame.subarray(26, 30)]).toEqual([198, 51, 100, 7]);
});

describe('IP options', () => {
  /** The same packet with `options` in its IP header. */
  function withOptions(frame: Buffer, options: number[]): Buffer {
    const head = Buffer.concat([frame.subarray(14, 34), Buffer.from(options)]);
    head[0] = 0x40 | (head.length / 4);
    head.writeUInt16BE(frame.length - 14 + options.length, 2);
    head.writeUInt16BE(0, 10);
    let sum = 0;
    for (let i = 0; i < head.length; i += 2) sum += head.readUInt16BE(i);
    while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
    head.writeUInt16BE(~sum & 0xffff, 10);
    return Buffer.concat([frame.subarray(0, 14), head, frame.subarray(34)]);
  }

  test.each([
    ['a kind nobody knows', [0x5e, 4, 1, 2]],
    ['router alert', [0x94, 4, 0, 0]],
    ['record route', [7, 7, 4, 0, 0, 0, 0, 0]],
    ['timestamp', [0x44, 8, 5, 0, 0, 0, 0, 0]],
    ['strict source route, completed', [0x89, 7, 8, 10, 0, 2, 99, 0]],
    ['a length of zero', [0x5e, 0, 0, 0]],
  ])('RFC 9293 3.9.2 (MUST-50): %s: the segment is taken as without', (_name, options) => {
    const bench = new RawBench();
    const said = bench.connected();
    bench.sends(withOptions(tcp(said, 'text'), options));
    bench.clock.runSoon();
    expect(bench.host.stream.text).toBe('text');
    // RFC 9293 3.9.2.1: the answer goes straight back.
    const answer = bench.link.frames.filter(isTcp).at(-1)!;
    expect(answer[14]).toBe(0x45);
    expect([...answer.subarray(30, 34)]).toEqual([10, 0, 2, 15]);
  });
});

describe('RFC 9293 3.9.2.2: ICMP from a guest about a segment of ours is dropped by design', () => {
  test.each([
    ['MUST-55: source quench', 4, 0],
    ['MUST-56: net unreachable', 3, 0],
    ['MUST-56: host unreachable', 3, 1],
    ['MUST-56: time exceeded', 11, 0],
    ['MUST-56: parameter problem', 12, 0],
    ['protocol unreachable', 3, 2],
    ['port unreachable', 3, 3],
    ['fragmentation needed', 3, 4],
  ])('%s: the connection goes on as before', (_name, type, code) => {
    const bench = new RawBench();
    const said = bench.connected();
    bench.host.stream.gives('one');
    bench.clock.runSoon();
    const ours = bench.link.frames.filter(isTcp).at(-1)!;
    const message = Buffer.concat([Buffer.from([type, code, 0, 0, 0, 0, 2, 64]), ours.subarray(14, 42)]);
    let sum = 0;
    for (let i = 0; i < message.length; i += 2) sum += message.readUInt16BE(i);
    while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
    message.writeUInt16BE(~sum & 0xffff, 2);
    bench.link.takes();
    bench.sends(ipv4(message, { proto: 1 }));
    bench.clock.runSoon();
    expect(bench.link.takes()).toEqual([]);
    expect(bench.network.stats().drops).toEqual({ IcmpByDesign: 1 });
    bench.sends(tcp({ ...said, ack: (said.ack! + 3) >>> 0 }, 'two'));
    bench.clock.runSoon();
    expect(bench.host.stream.text).toBe('two');
    expect(bench.host.stream.wasReset).toBe(false);
  });
});

describe('a port that is used again', () => {
  /** The host has closed first, the guest after it: the flow waits in TIME-WAIT. The next number of each side. */
  function timeWait(bench: RawBench, bytes: number): { seq: number; ack: number } {
    const said = bench.connected();
    let ack = said.ack!;
    bench.host.stream.gives(new Uint8Array(bytes)).ends();
    for (let i = 0; i < 10_000; i++) {
      bench.clock.advance(1);
      for (const frame of bench.link.takes().filter(isTcp)) {
        const { seq, len, flags } = readTcp(frame);
        if (seq !== ack) continue;
        ack = (ack + len + (flags & FIN)) >>> 0;
        bench.sends(tcp({ ...said, ack, flags: flags & FIN ? FIN | ACK : ACK }));
        if (flags & FIN) return { seq: said.seq! + 1, ack };
      }
    }
    throw new Error('no FIN came');
  }

  test('RFC 9293 3.6.1 (MAY-2, SHLD-4): a SYN beyond the old connection opens a new one out of TIME-WAIT', () => {
    const bench = new RawBench();
    const { seq } = timeWait(bench, 10);
    expect(bench.network.stats().flows.tcp).toBe(1);
    bench.sends(tcp({ seq: seq + 1, flags: SYN }));
    expect(bench.host.streams).toHaveLength(2);
    bench.host.stream.open();
    bench.clock.runSoon();
    expect(bench.link.lastTcp).toMatchObject({ flags: SYN | ACK, ack: seq + 2 });
  });

  test('RFC 9293 3.6.1 (MUST-13): an old SYN does not', () => {
    const bench = new RawBench();
    const { seq, ack } = timeWait(bench, 10);
    bench.link.takes();
    bench.sends(tcp({ seq: 1000, flags: SYN }));
    bench.clock.runSoon();
    expect(bench.host.streams).toHaveLength(1);
    expect(bench.link.lastTcp).toMatchObject({ flags: ACK, seq: ack, ack: seq });
  });

  test('RFC 9293 3.6.1 (MAY-2): the new connection begins beyond all that the old one has used', () => {
    const bench = new RawBench();
    const { seq, ack } = timeWait(bench, 2_000_000);
    bench.sends(tcp({ seq: seq + 1, flags: SYN }));
    bench.host.stream.open();
    bench.clock.runSoon();
    const synAck = bench.link.lastTcp;
    expect(synAck.flags).toBe(SYN | ACK);
    expect((synAck.seq - ack) | 0).toBeGreaterThanOrEqual(0);
  });
});
