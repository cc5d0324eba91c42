// Which segment goes next where something is lost, what the retransmission timer counts from, and how a recovery without SACK
// ends: RFC 6298 5, RFC 6582 3.2, RFC 6675 4, 5, RFC 5681 2.

import { describe, expect, test } from 'vitest';
import { NEVER } from '../../src/base/clock.ts';
import { pipe } from '../../src/tcp/recovery.ts';
import { pattern } from '../support/segment-bytes.ts';
import { at, MSS, sacks, sent, tenOut } from '../support/segments-out.ts';
import { established } from '../support/tcp-peer.ts';

describe('RFC 6675 4', () => {
  test('NextSeg() (1): nothing smaller goes before what is lost, new text or FIN, where that is all that has room', () => {
    const peer = tenOut({ queued: 10, mss: MSS });
    const { guest, host, tcb, clock } = peer;
    while (peer.counters.timeouts === 0) clock.advance(1);
    guest.takesAll();
    host.gives('y');
    host.closes();
    sacks(peer, 1);
    expect(sent(peer)).toEqual([1, 2]);
    // Half of a segment makes room for half of one.
    guest.sends({ ack: at(1) + 701 });
    const room = tcb.congestion.cwnd - pipe(tcb);
    expect([room > 1, room < MSS]).toEqual([true, true]);
    guest.expectsNothing();
    sacks(peer, 2);
    expect(sent(peer)[0]).toBe(3);
  });

  test('SetPipe(): what is out, less what was SACKed and what is lost, with what was sent again', () => {
    const peer = tenOut({ queued: 10 });
    const { wire, tcb, host } = peer;
    expect(pipe(tcb)).toBe(10 * MSS);
    peer.clock.advance(100);
    sacks(peer, 0, [4, 5]);
    expect(pipe(tcb)).toBe(9 * MSS);
    wire.room = 0;
    sacks(peer, 0, [6, 7], [4, 5]);
    sacks(peer, 0, [8, 9], [6, 7], [4, 5]);
    // 0 to 3, 5 and 7 are lost, 9 is in flight.
    expect(tcb.recovery.log.lostBytes).toBe(6 * MSS);
    expect(pipe(tcb)).toBe(MSS);
    host.linkIsWritable();
    const again = sent(peer).length;
    expect(again).toBeGreaterThan(0);
    expect(pipe(tcb)).toBe((1 + again) * MSS);
  });
});

describe('RFC 6298 5, RFC 6675 5 step 4.3: what the timeout counts from', () => {
  test('the retransmission of the oldest, not that of another that goes later', () => {
    const peer = tenOut({ queued: 10 });
    const { clock, tcb, counters } = peer;
    clock.advance(100);
    for (const to of [2, 3, 4]) sacks(peer, 0, [1, to]);
    expect(sent(peer)).toEqual([0]);
    const due = clock.now() + tcb.rtt.rto;
    clock.advance(100);
    sacks(peer, 0, [1, 4], [8, 10]);
    const later = sent(peer);
    expect(later).toContain(4);
    expect(later).not.toContain(0);
    clock.advanceTo(due - 1);
    expect(counters.timeouts).toBe(0);
    clock.advanceTo(due);
    expect(counters.timeouts).toBe(1);
  });

  test('nothing where a link without room has let nothing go: no wait begins before', () => {
    const { guest, host, clock, wire, tcb, counters } = established();
    host.gives(pattern(1000));
    guest.takesAll();
    clock.advanceTo(tcb.rtoAt - 1);
    wire.room = 0;
    clock.advance(1);
    expect([counters.timeouts, tcb.rtoAt]).toEqual([1, NEVER]);
    clock.advance(600_000);
    expect([counters.timeouts, tcb.rtoAt]).toEqual([1, NEVER]);
    host.linkIsWritable();
    guest.expects({ seq: 1, len: 1000 });
    clock.advance(tcb.rtt.rto - 1);
    guest.expectsNothing();
    clock.advance(1);
    guest.expects({ seq: 1, len: 1000 });
  });
});

describe('RFC 5681 2: what is no duplicate ACK', () => {
  test.each([true, false])(
    'one that comes while nothing is out; asked predicted.ts first: %s',
    (predicts) => {
      const { guest, host, tcb, counters } = established({ predicts });
      for (let i = 0; i < 5; i++) guest.sends({ ack: 1 });
      host.gives(pattern(30 * MSS));
      expect(guest.takesAll()).toHaveLength(10);
      guest.sends({ ack: 1 });
      expect(guest.takesAll()).toHaveLength(1);
      expect([counters.fastRetransmits, tcb.recovery.dupAcks]).toEqual([0, 1]);
    },
  );
});

describe('RFC 6582 3.2 step 3: the end of a recovery', () => {
  test('is no burst: where little is out the window is a segment more than that, not ssthresh', () => {
    const peer = tenOut({ queued: 40, sackPermitted: false });
    peer.clock.advance(100);
    for (let i = 0; i < 3; i++) sacks(peer, 0);
    // Two by limited transmit, and the first again.
    expect(sent(peer)).toEqual([10, 11, 0]);
    const { congestion } = peer.tcb;
    expect(congestion.ssthresh).toBe(5 * MSS);
    peer.clock.advance(100);
    sacks(peer, 12);
    expect(peer.tcb.recovery.phase).toBe('open');
    expect(sent(peer)).toEqual([12, 13]);
  });
});

test('RFC 5681 4.1: a sender with something out is not idle, however long ago it was sent: the window stays', () => {
  const peer = tenOut({ queued: 40, sackPermitted: false });
  const { tcb, host, clock, counters } = peer;
  for (let next = 10; next < 40; next += sent(peer).length) {
    clock.advance(100);
    sacks(peer, next);
  }
  const { cwnd } = tcb.congestion;
  expect(cwnd).toBeGreaterThan(20 * MSS);
  clock.advance(tcb.rtt.rto - 1);
  sacks(peer, 39);
  clock.advance(tcb.rtt.rto - 1);
  expect(clock.now() - tcb.lastSentAt).toBeGreaterThan(tcb.rtt.pause);
  host.gives(pattern(40 * MSS));
  expect(sent(peer).length).toBeGreaterThan(18);
  expect([tcb.congestion.cwnd >= cwnd, counters.timeouts]).toEqual([true, 0]);
});
