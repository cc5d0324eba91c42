// What the sender makes of SACK: RFC 2018, 2883, 6675, 8985, 9937, and the undoing of mistakes, RFC 3522, 4015.

import { describe, expect, test } from 'vitest';
import { NEVER } from '../../src/base/clock.ts';
import { Sent } from '../../src/tcp/sent-log.ts';
import { pattern } from '../support/segment-bytes.ts';
import { at, MSS, sacks, sent, tenOut } from '../support/segments-out.ts';
import { established } from '../support/tcp-peer.ts';

/** What TcpPeer's connections add to the clock. */
const TS_OFFSET = 77;

describe('RFC 8985: RACK', () => {
  test('6.2 step 4: with three segments behind a hole, what was sent before them is lost at once', () => {
    const peer = tenOut();
    peer.clock.advance(100);
    sacks(peer, 0, [1, 2]);
    sacks(peer, 0, [1, 3]);
    sent(peer);
    sacks(peer, 0, [1, 4]);
    expect(sent(peer)).toContain(0);
    expect(peer.tcb.recovery.phase).toBe('recovery');
    expect(peer.counters.fastRetransmits).toBe(1);
  });

  test('6.2 step 5: with fewer, after a quarter of the smallest round trip', () => {
    const peer = tenOut();
    peer.clock.advance(100);
    sacks(peer, 0, [1, 2]);
    expect(sent(peer)).toEqual([10]);
    peer.clock.advance(24);
    expect(sent(peer)).toEqual([]);
    peer.clock.advance(1);
    expect(sent(peer)).toEqual([0]);
  });

  test('a segment that is only late in that time is not lost', () => {
    const peer = tenOut();
    peer.clock.advance(100);
    sacks(peer, 0, [1, 2]);
    peer.clock.advance(20);
    sacks(peer, 2);
    sent(peer);
    peer.clock.advance(60);
    expect(sent(peer)).toEqual([]);
    expect(peer.counters.retransmits).toBe(0);
  });

  test('6.2 step 3, 4: once segments have overtaken each other three behind a hole are not enough', () => {
    const peer = tenOut();
    peer.clock.advance(100);
    sacks(peer, 0, [1, 2]);
    sacks(peer, 2);
    sent(peer);
    expect(peer.tcb.recovery.reordered).toBe(true);
    sacks(peer, 2, [3, 8]);
    peer.clock.advance(24);
    expect(sent(peer)).not.toContain(2);
    peer.clock.advance(1);
    expect(sent(peer)).toContain(2);
  });

  test('6.2 step 4: each round with a D-SACK makes the window a quarter wider, up to the round trip', () => {
    const peer = tenOut();
    const { recovery } = peer.tcb;
    for (let round = 2; round < 12; round++) {
      sacks(peer, round - 1, [0, 1]);
      expect(recovery.reoWndMult).toBe(round);
      sacks(peer, round - 1, [0, 1]);
      expect(recovery.reoWndMult).toBe(round);
      peer.guest.takesAll();
      sacks(peer, 10 + 2 * round);
      peer.guest.takesAll();
      recovery.dsackRoundEnd = peer.tcb.sndUna;
      if (peer.tcb.sendRing.length < 20 * MSS) peer.host.gives(pattern(20 * MSS));
      peer.guest.takesAll();
    }
  });

  test('deviates from 6.2 step 4: after a D-SACK the steps are quarters of the smoothed round trip, and from there', () => {
    const peer = tenOut();
    peer.clock.advance(100);
    sacks(peer, 1, [0, 1]);
    sent(peer);
    peer.tcb.recovery.reordered = true;
    sacks(peer, 1, [2, 6]);
    // 25 ms for the smallest round trip, 25 for the D-SACK.
    peer.clock.advance(49);
    expect(sent(peer)).not.toContain(1);
    peer.clock.advance(3);
    expect(sent(peer)).toContain(1);
  });

  test('what was sent again and is lost again is found by what was sent after it', () => {
    const peer = tenOut();
    peer.clock.advance(100);
    sacks(peer, 0, [1, 10]);
    const first = sent(peer);
    expect(first[0]).toBe(0);
    expect(first).toContain(10);
    peer.clock.advance(100);
    // Segment 10 left after segment 0 was sent again, and is there.
    sacks(peer, 0, [1, 11]);
    expect(sent(peer)).toContain(0);
    expect(peer.counters.timeouts).toBe(0);
  });

  test('6.2: what was sent again in the millisecond of a new segment is not lost when that one arrives before it', () => {
    const peer = tenOut();
    peer.clock.advance(100);
    for (const to of [2, 3, 4]) sacks(peer, 0, [1, to]);
    expect(sent(peer)).toEqual([10, 11, 0]);
    peer.clock.advance(100);
    sacks(peer, 0, [10, 11], [1, 4]);
    expect(sent(peer)).not.toContain(0);
  });

  test('a round trip that may be that of the first sending is no measure', () => {
    const peer = tenOut();
    peer.clock.advance(100);
    sacks(peer, 0, [1, 10]);
    sent(peer);
    peer.clock.advance(5);
    // Too early for the second sending.
    sacks(peer, 10);
    expect(peer.tcb.recovery.rackRtt).toBe(100);
    expect(peer.tcb.recovery.minRtt).toBe(100);
  });
});

describe('RFC 6675: what is sent in a recovery', () => {
  test('4: the holes first, the lowest first, then new data', () => {
    const peer = tenOut();
    peer.clock.advance(100);
    sacks(peer, 0, [1, 3], [4, 6], [8, 10]);
    const order = sent(peer);
    for (let i = 0; i < 8; i++) {
      peer.clock.advance(10);
      sacks(peer, 0, [1, 3], [4, 6], [8, 10 + i]);
      order.push(...sent(peer));
    }
    expect(order.slice(0, 5)).toEqual([0, 3, 6, 7, 10]);
  });

  test('4 SetPipe: what has arrived, and what is lost and not sent again, is not in the network', () => {
    const peer = tenOut({ queued: 10 });
    peer.wire.room = 0;
    sacks(peer, 0, [5, 10]);
    const { log } = peer.tcb.recovery;
    expect([log.sackedBytes, log.lostBytes]).toEqual([5 * MSS, 5 * MSS]);
  });

  test('2018 5, 8: blocks of what was never sent, empty ones, and ones turned round are ignored', () => {
    const peer = tenOut();
    const before = peer.tcb.recovery.log.sackedBytes;
    sacks(peer, 0, [9, 40]);
    sacks(peer, 0, [5, 5]);
    sacks(peer, 0, [7, 3]);
    expect(peer.tcb.recovery.log.sackedBytes).toBe(before);
    expect(peer.counters.fastRetransmits).toBe(0);
  });

  test('a block that holds part of a segment says nothing of it', () => {
    const peer = tenOut();
    const edge = (peer.tcb.iss + at(1) + 1) | 0;
    peer.guest.sends({ ack: 2, options: { sack: [[edge + 1, edge + 2 * MSS]] } });
    expect(peer.tcb.recovery.log.sackedBytes).toBe(MSS);
    expect(peer.tcb.recovery.log.is(2, Sent.Sacked)).toBe(true);
  });

  test('2018 8: what was SACKed is kept until it is acknowledged', () => {
    const peer = tenOut({ queued: 10 });
    sacks(peer, 0, [1, 10]);
    expect(peer.tcb.sendRing.length).toBe(10 * MSS);
  });

  test('2018 8: a peer that drops what it has SACKed gets it again after a timeout', () => {
    const peer = tenOut({ queued: 10 });
    peer.clock.advance(100);
    sacks(peer, 0, [1, 10]);
    peer.guest.takesAll();
    // It takes segment 0 and has forgotten the rest.
    sacks(peer, 1);
    peer.guest.takesAll();
    for (let next = 1; next < 10; next++) {
      peer.clock.advance(peer.tcb.rtt.rto);
      const got = sent(peer);
      expect(got).toContain(next);
      sacks(peer, next + 1);
    }
    expect(peer.tcb.sendRing.length).toBe(0);
  });

  test('5 step 4.3: each retransmission of the oldest gives it a whole timeout', () => {
    const peer = tenOut({ queued: 10 });
    peer.clock.advance(100);
    sacks(peer, 0, [1, 10]);
    expect(sent(peer)).toEqual([0]);
    expect(peer.tcb.rtoAt).toBe(peer.clock.now() + peer.tcb.rtt.rto);
  });

  test('RFC 2018 4: a hostile stream of blocks neither throws nor grows anything', () => {
    const peer = tenOut();
    for (let i = 0; i < 2000; i++) {
      const left = (peer.tcb.iss + ((i * 7919) % 20_000) - 2000) | 0;
      peer.guest.sends({
        ack: 2,
        options: { sack: [0, 1, 2].map((n) => [left + n * 900, left + n * 900 + (i % 1500)] as const) },
      });
      peer.guest.takesAll();
    }
    expect(peer.tcb.recovery.log.count).toBeLessThanOrEqual(30);
  });
});

describe('RFC 9937: the window goes down with what arrives', () => {
  test('6.2: half of what arrives goes out again, and ssthresh is what is left', () => {
    const peer = tenOut({ queued: 60 });
    peer.clock.advance(100);
    let out = 0;
    for (let i = 2; i <= 10; i++) {
      sacks(peer, 0, [1, i]);
      peer.clock.advance(10);
      out += sent(peer).length;
    }
    // Two by limited transmit (RFC 3042), one again, then one for every two.
    expect(out).toBeGreaterThanOrEqual(5);
    expect(out).toBeLessThanOrEqual(7);
    sacks(peer, 10 + out - 1);
    peer.guest.takesAll();
    expect(peer.tcb.congestion.ssthresh).toBe(5 * MSS);
    expect(peer.tcb.recovery.phase).toBe('open');
    expect(peer.tcb.congestion.cwnd).toBeLessThanOrEqual(5 * MSS);
  });

  test('no burst where many ACKs were lost', () => {
    const peer = tenOut({ queued: 60 });
    peer.clock.advance(100);
    sacks(peer, 0, [9, 10]);
    sacks(peer, 0, [8, 10]);
    peer.guest.takesAll();
    sacks(peer, 0, [1, 12]);
    expect(sent(peer).length).toBeLessThanOrEqual(6);
  });
});

describe('RFC 9937 6.2: what was sent again and lost again', () => {
  test('is sent a third time as soon as anything arrives, not when the timer fires', () => {
    const peer = tenOut({ queued: 10 });
    const turn = (ack: number, ...blocks: [number, number][]): number[] => {
      peer.clock.advance(100);
      sacks(peer, ack, ...blocks);
      return sent(peer);
    };
    expect(turn(0, [7, 10])).toEqual([0, 1, 2]);
    expect(turn(1, [7, 10])).toEqual([3, 4]);
    expect(turn(2, [7, 10])).toEqual([5, 6]);
    // 2 and 3 are lost again: seven were sent for the six that have arrived.
    expect(turn(2, [4, 5], [7, 10])).toEqual([2]);
    expect(peer.counters.timeouts).toBe(0);
  });
});

describe('RFC 8985 7: the tail loss probe', () => {
  test('7.2, 7.3: two round trips after the last segment it goes out again, long before the timeout', () => {
    const peer = tenOut({ queued: 5 });
    const { rto, srtt } = peer.tcb.rtt;
    expect(Math.ceil(2 * srtt)).toBeLessThan(rto);
    peer.clock.advance(Math.ceil(2 * srtt) - 1);
    expect(sent(peer)).toEqual([]);
    peer.clock.advance(1);
    expect(sent(peer)).toEqual([4]);
    expect([peer.counters.tailLossProbes, peer.counters.timeouts]).toEqual([1, 0]);
    // The probe's SACK shows the rest.
    peer.clock.advance(100);
    sacks(peer, 2, [4, 5]);
    peer.clock.advance(30);
    expect(sent(peer)).toEqual([2, 3]);
    expect(peer.counters.timeouts).toBe(0);
  });

  test('7.3: something new where there is something, though the congestion window is full', () => {
    const peer = tenOut({ queued: 30 });
    peer.clock.advance(Math.ceil(2 * peer.tcb.rtt.srtt));
    expect(sent(peer)).toEqual([10]);
  });

  test('7.2: one probe; after it the timeout, counted from the probe', () => {
    const peer = tenOut({ queued: 5 });
    peer.clock.advance(Math.ceil(2 * peer.tcb.rtt.srtt));
    sent(peer);
    peer.clock.advance(peer.tcb.rtt.rto - 1);
    expect(sent(peer)).toEqual([]);
    peer.clock.advance(1);
    expect(sent(peer)).toEqual([0]);
    expect(peer.counters.timeouts).toBe(1);
  });

  test('7.2: a single segment gets the time of a delayed ACK, which is rarely less than the timeout', () => {
    const peer = tenOut({ queued: 1 });
    expect(peer.tcb.tlpAt).toBe(NEVER);
    peer.clock.advance(peer.tcb.rtt.rto);
    expect(sent(peer)).toEqual([0]);
    expect([peer.counters.timeouts, peer.counters.tailLossProbes]).toEqual([1, 0]);
  });

  test('7.2: with a timeout that was backed off the probe comes first', () => {
    const peer = tenOut({ queued: 1 });
    peer.clock.advance(peer.tcb.rtt.rto);
    peer.guest.takesAll();
    // Without a sample, by Karn's rule: the timeout stays long.
    sacks(peer, 1);
    peer.host.gives('y');
    peer.guest.takesAll();
    const due = 2 * 100 + 200;
    expect(due).toBeLessThan(peer.tcb.rtt.rto);
    peer.clock.advance(due - 1);
    peer.guest.expectsNothing();
    peer.clock.advance(1);
    peer.guest.expects({ text: 'y' });
    expect(peer.counters.tailLossProbes).toBe(1);
  });

  test('7.4: where the probe has repaired the loss the window goes down, by an ACK beyond it without D-SACK', () => {
    const peer = tenOut({ queued: 5 });
    peer.clock.advance(Math.ceil(2 * peer.tcb.rtt.srtt));
    sent(peer);
    const before = peer.tcb.congestion.cwnd;
    peer.clock.advance(100);
    sacks(peer, 5);
    peer.host.gives('y');
    peer.guest.takesAll();
    peer.guest.sends({ ack: at(5) + 2 });
    expect(peer.tcb.congestion.cwnd).toBeLessThan(before);
  });

  test('7.4: with a D-SACK nothing was lost', () => {
    const peer = tenOut({ queued: 5 });
    peer.clock.advance(Math.ceil(2 * peer.tcb.rtt.srtt));
    sent(peer);
    const before = peer.tcb.congestion.cwnd;
    sacks(peer, 5);
    sacks(peer, 5, [4, 5]);
    peer.host.gives('y');
    peer.guest.takesAll();
    peer.guest.sends({ ack: at(5) + 2 });
    expect(peer.tcb.congestion.cwnd).toBeGreaterThanOrEqual(before);
  });

  test('without SACK there is none', () => {
    const peer = tenOut({ queued: 5, sackPermitted: false });
    peer.clock.advance(peer.tcb.rtt.rto - 1);
    expect(sent(peer)).toEqual([]);
    expect(peer.counters.tailLossProbes).toBe(0);
  });
});

describe('a recovery that was none', () => {
  test('RFC 3522, 4015: an ACK that echoes a time before the retransmission takes the timeout back', () => {
    const peer = tenOut({ timestamps: true, sackPermitted: false });
    const { congestion, rtt } = peer.tcb;
    const [cwnd, ssthresh] = [congestion.cwnd, congestion.ssthresh];
    const echo = peer.clock.now() + TS_OFFSET;
    peer.clock.advance(rtt.rto);
    expect(peer.guest.takesAll().length).toBe(1);
    expect(congestion.cwnd).toBe(1448);
    peer.guest.sends({ ack: 2 + 1448, options: { ts: [5000, echo] } });
    expect([congestion.cwnd >= cwnd, congestion.ssthresh]).toEqual([true, ssthresh]);
    expect(peer.tcb.recovery.phase).toBe('open');
    expect(peer.counters.undone).toBe(1);
    // It goes on where it was: nothing else is sent again.
    expect(peer.guest.takesAll().every(({ seq }) => seq >= 2 + 10 * 1448)).toBe(true);
  });

  test('an ACK that echoes the retransmission does not', () => {
    const peer = tenOut({ timestamps: true, sackPermitted: false });
    peer.clock.advance(peer.tcb.rtt.rto);
    peer.guest.takesAll();
    peer.guest.sends({ ack: 2 + 1448 });
    expect(peer.counters.undone).toBe(0);
    expect(peer.tcb.recovery.phase).toBe('loss');
  });

  test('RFC 2883, 3708: when each retransmission is reported as a duplicate the window is what it was', () => {
    const peer = tenOut();
    const { congestion } = peer.tcb;
    const { cwnd } = congestion;
    peer.clock.advance(100);
    sacks(peer, 0, [1, 4]);
    expect(sent(peer)).toContain(0);
    peer.clock.advance(10);
    // The first sending was late, and its ACK comes; then the second.
    sacks(peer, 4);
    sacks(peer, 4, [0, 1]);
    expect(peer.counters.undone).toBe(1);
    expect(congestion.cwnd).toBeGreaterThanOrEqual(cwnd);
  });
});

test('RFC 3465 2.3: after a timeout an ACK of much that had arrived opens the window by one segment', () => {
  const peer = tenOut({ sackPermitted: false, queued: 40 });
  peer.clock.advance(peer.tcb.rtt.rto);
  peer.guest.takesAll();
  sacks(peer, 9);
  expect(sent(peer).length).toBeLessThanOrEqual(2);
});

test('a log of many small segments is bounded: the sender waits', () => {
  const peer = established({ sackPermitted: true, mss: 48, windShift: 10 });
  peer.tcb.congestion.cwnd = 1 << 20;
  peer.host.gives(pattern(400_000));
  expect(peer.guest.takesAll().length).toBe(4096);
  peer.guest.sends({});
  expect(peer.guest.takesAll().length).toBe(4096);
});
