// RFC 9293 3.1 and 3.2: the header's fields and its options, whoever sends them.

import { describe, expect, test } from 'vitest';
import { tcp } from '../support/raw-frames.ts';
import { RawBench } from '../support/raw-guest.ts';
import { pattern } from '../support/segment-bytes.ts';
import { established, establishedActively, type HostSegment, TcpPeer } from '../support/tcp-peer.ts';

describe('window', () => {
  test('RFC 9293 3.1 (MUST-1): windows over 32767 are not negative ones', () => {
    const { guest, host, tcb } = established({ windShift: -1, wnd: 65535 });
    host.gives(pattern(300_000));
    let acked = 1;
    let widest = 0;
    for (let round = 0; round < 30 && tcb.sendRing.length > 0; round++) {
      const flight = guest.takesAll();
      widest = Math.max(widest, guest.ack - acked);
      acked = guest.ack;
      for (const { seq, len } of flight) guest.sends({ ack: seq + len });
    }
    expect(guest.ack).toBe(300_001);
    expect(widest).toBeGreaterThan(60_000);
    expect(widest).toBeLessThanOrEqual(65_535);
  });
});

describe('checksum', () => {
  // What reads them for the guest throws where it is another one: segment-bytes.ts.
  test('RFC 9293 3.1 (MUST-2): each segment that is sent has the right one, of odd length too, and sent again', () => {
    for (const timestamps of [true, false]) {
      const { guest, host, clock, tcb, counters } = established({ timestamps, sackPermitted: true });
      host.gives('odd');
      host.gives(pattern(3001));
      clock.advance(tcb.rtt.rto);
      guest.sends({ seq: 5, data: 'ahead', ack: 1 });
      guest.sends({ data: 'next', ack: 3005, seq: 1 });
      host.closes();
      host.aborts();
      const kinds = guest.takesAll().map(({ flags, len, options }) => ({
        flags,
        isOdd: len % 2 === 1,
        isBare: len === 0,
        sack: options.sack !== undefined,
      }));
      const text = { flags: 'A', isBare: false };
      expect(counters.retransmits).toBeGreaterThan(0);
      expect(kinds).toEqual(
        expect.arrayContaining([
          expect.objectContaining({ ...text, isOdd: true }),
          expect.objectContaining({ ...text, isOdd: false }),
          expect.objectContaining({ flags: 'A', sack: true }),
          expect.objectContaining({ flags: 'FA' }),
          expect.objectContaining({ flags: 'RA' }),
        ]),
      );
    }
  });

  test('RFC 9293 3.1 (MUST-3): a segment with a wrong one is as if it had not come', () => {
    const bench = new RawBench();
    const said = bench.connected();
    const { stream } = bench.host;
    const before = bench.link.takes().length;
    bench.sends(tcp({ ...said, badTcpChecksum: true }, 'spoilt'));
    bench.sends(tcp({ sport: 6000, badTcpChecksum: true }));
    bench.clock.runSoon();
    expect(before).toBeGreaterThan(0);
    expect(bench.link.takes()).toEqual([]);
    expect(bench.host.streams).toEqual([stream]);
    expect(stream.text).toBe('');
    bench.sends(tcp(said, 'whole'));
    bench.clock.runSoon();
    expect(stream.text).toBe('whole');
  });
});

describe('options', () => {
  /** Kinds that nobody knows, of several lengths; the last one fills the header. */
  const unknown = [
    [254, 2],
    [253, 3, 1],
    [99, 7, 1, 2, 3, 4, 5],
    [30, 28, ...new Array<number>(26).fill(7)],
  ];

  test('RFC 9293 3.1 (MUST-5, 6): in any segment, and those that are unknown are passed over', () => {
    for (const raw of unknown) {
      const { guest, host, tcb } = new TcpPeer();
      guest.sends({ seq: 0, flags: 'S', options: { mss: 1000, raw } });
      host.accepts();
      guest.expects({ flags: 'SA', ack: 1 });
      guest.sends({ options: { raw } });
      guest.sends({ data: 'text', options: { raw } });
      guest.expects({ flags: 'A', ack: 5 });
      expect(host.takes()).toBe('text');
      guest.sends({ flags: 'FA', options: { raw } });
      guest.expects({ flags: 'A', ack: 6 });
      expect([tcb.state, tcb.sendMss]).toEqual(['CLOSE-WAIT', 1000]);
      guest.sends({ flags: 'R', options: { raw } });
      expect(host.reason).toBe('peer-reset');
    }
  });

  test('RFC 9293 3.2 (MUST-64): on no word boundary', () => {
    const { guest, host } = established({ timestamps: true });
    const stamps = [8, 10, 0, 0, 8, 0, 0, 0, 0, 77];
    for (let pad = 0; pad < 4; pad++) {
      const raw = [...new Array<number>(pad).fill(1), 253, 3, 9, ...stamps];
      guest.sends({ data: 'x', options: { ts: null, raw } });
      guest.expects({ ack: 2 + pad, options: { ts: [77, 0x800] } });
    }
    expect(host.takes()).toBe('xxxx');
  });

  /** One of each kind of segment that an established connection sends. */
  function conversation(peer: TcpPeer): HostSegment[] {
    const { guest, host, clock, tcb } = peer;
    const sent: HostSegment[] = [];
    const takes = () => sent.push(...guest.takesAll());
    guest.sends({ seq: 4, data: 'def' });
    takes();
    guest.sends({ seq: 1, data: 'abc' });
    takes();
    host.gives(pattern(3000));
    takes();
    clock.advance(tcb.rtt.rto);
    takes();
    guest.sends({ ack: 3001, flags: 'S' });
    takes();
    guest.sends({ ack: 3001 });
    host.closes();
    takes();
    host.aborts();
    takes();
    expect(new Set(sent.map(({ flags }) => flags))).toEqual(new Set(['A', 'FA', 'RA']));
    return sent;
  }

  const offers = [
    { timestamps: true, sackPermitted: true },
    { timestamps: false, sackPermitted: false, windShift: -1 },
  ];

  test.each(offers)(
    'RFC 9293 3.2 (MUST-65), RFC 7323 2.2, RFC 2018 2: only a SYN has MSS, scale, SACK-permitted; timestamps: $timestamps',
    (o) => {
      for (const peer of [established(o), establishedActively(o)]) {
        for (const { options } of conversation(peer)) {
          expect(options).not.toHaveProperty('mss');
          expect(options).not.toHaveProperty('windShift');
          expect(options).not.toHaveProperty('sackPermitted');
        }
      }
    },
  );

  test('RFC 7323 3.2, RFC 2018 4: what was not agreed on is not sent', () => {
    for (const peer of [established(offers[1]), establishedActively(offers[1])])
      for (const { options } of conversation(peer)) expect(options).toEqual({});
  });

  test('RFC 7323 3.2: once agreed on, timestamps are in every segment, a reset too', () => {
    for (const peer of [established(offers[0]), establishedActively(offers[0])])
      for (const { options } of conversation(peer)) expect(options.ts).toBeDefined();
  });

  test('RFC 7323 3.2: timestamps that were not agreed on are ignored, the segment is not', () => {
    const { guest, host, tcb } = established();
    guest.sends({ data: 'a', options: { ts: [2000, 0] } });
    guest.sends({ data: 'b', options: { ts: [1000, 0] } });
    expect(host.takes()).toBe('ab');
    expect(tcb.timestamps).toBe(false);
    for (const { options } of guest.takesAll()) expect(options).toEqual({});
  });

  test.each([576, 1280, 1500, 9000, 65_520])(
    'RFC 9293 3.7.1 (MUST-14, 67, SHLD-5), RFC 6691 2: with an MTU of %i our SYN says 40 less, whatever options it has',
    (mtu) => {
      for (const offer of offers) {
        const answering = new TcpPeer({ mtu, arenaBytes: 32 << 20, ...offer });
        answering.guest.sendsSyn();
        answering.host.accepts();
        expect(answering.guest.expects({ flags: 'SA' }).options.mss).toBe(mtu - 40);
        const asking = new TcpPeer({ mtu, ...offer });
        asking.host.connects();
        expect(asking.guest.expects({ flags: 'S' }).options.mss).toBe(mtu - 40);
      }
    },
  );
});
