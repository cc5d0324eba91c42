// What the sender makes of SACK: RFC 2018, 2883, 6675, 8985, 9937, and the undoing of mistakes, RFC 3522, 4015.

import { describe, expect, test } from 'vitest';
import { NEVER } from '../../src/base/clock.ts';
import { Sent } from '../../src/tcp/sent-log.ts';
import { pattern } from '../support/segment-bytes.ts';
import { established, type PeerOptions, TcpPeer } from '../support/tcp-peer.ts';

const MSS = 1460;
/** What TcpPeer's connections add to the clock. */
const TS_OFFSET = 77;

/** Sequence number, counted from the SYN, where segment `i` of the test begins. */
function at(i: number): number {
  return 1 + MSS * i;
}

/** Ten full segments are out, and twenty more wait; each round trip took 100 ms. */
function tenOut(options: PeerOptions & { queued?: number } = {}): TcpPeer {
  const { queued = 30, ...rest } = options;
  const peer = new TcpPeer({ sackPermitted: true, ...rest });
  peer.guest.sendsSyn();
  peer.host.accepts();
  peer.guest.takesAll();
  peer.clock.advance(100);
  peer.guest.sends({});
  // One byte goes first, as a sample: the tests count from the next.
  peer.host.gives('x');
  peer.guest.takesAll();
  peer.clock.advance(100);
  peer.guest.sends({ ack: 2 });
  peer.host.gives(pattern(queued * MSS));
  expect(peer.guest.takesAll().length).toBe(Math.min(queued, 10));
  return peer;
}

/** The guest acknowledges everything before segment `next` and has the segments of `ranges`, [from, to). */
function sacks(peer: TcpPeer, next: number, ...ranges: readonly (readonly [number, number])[]): void {
  const edge = (i: number): number => (peer.tcb.iss + at(i) + 1) | 0;
  const sack = ranges.map(([from, to]) => [edge(from), edge(to)] as const);
  peer.guest.sends({ ack: at(next) + 1, ...(sack.length > 0 ? { options: { sack } } : {}) });
}

/** Numbers of the segments that were sent. */
function sent(peer: TcpPeer): number[] {
  return peer.guest.takesAll().map(({ seq }) => (seq - 2) / MSS);
}

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

describe('RFC 8985 7.4.2: what a tail loss probe has shown', () => {
  function window({ tcb }: TcpPeer): number[] {
    return [tcb.congestion.cwnd / MSS, tcb.congestion.ssthresh / MSS];
  }

  test('case 2: of a guest without D-SACK the same ACK again says that the probe was one too many', () => {
    const peer = tenOut({ queued: 5 });
    peer.clock.advance(Math.ceil(2 * peer.tcb.rtt.srtt));
    expect(sent(peer)).toEqual([4]);
    const before = window(peer);
    sacks(peer, 5);
    expect(peer.tcb.recovery.probeOut).toBe(true);
    sacks(peer, 5);
    expect(peer.tcb.recovery.probeOut).toBe(false);
    peer.host.gives(pattern(MSS));
    sent(peer);
    sacks(peer, 6);
    expect(window(peer)[1]).toBe(before[1]);
  });

  test('a recovery that the probe has begun is the one response to the loss', () => {
    const peer = tenOut({ queued: 10 });
    peer.clock.advance(100);
    sacks(peer, 7);
    peer.clock.advance(Math.ceil(2 * peer.tcb.rtt.srtt) + 20);
    expect(sent(peer)).toEqual([9]);
    peer.clock.advance(100);
    sacks(peer, 7, [9, 10]);
    peer.clock.advance(40);
    expect(sent(peer)).toEqual([7]);
    expect(peer.tcb.recovery.probeOut).toBe(false);
    peer.clock.advance(100);
    sacks(peer, 8, [9, 10]);
    expect(sent(peer)).toEqual([8]);
    peer.clock.advance(100);
    sacks(peer, 10);
    const after = window(peer);
    peer.host.gives(pattern(3 * MSS));
    sent(peer);
    peer.clock.advance(100);
    sacks(peer, 13);
    expect(window(peer)[1]).toBe(after[1]);
  });

  test('where one of the two was lost, the window is halved from what was out as the probe went', () => {
    const peer = tenOut({ queued: 10 });
    peer.clock.advance(Math.ceil(2 * peer.tcb.rtt.srtt));
    expect(sent(peer)).toEqual([9]);
    peer.clock.advance(100);
    sacks(peer, 10);
    peer.host.gives('y');
    peer.guest.takesAll();
    peer.guest.sends({ ack: at(10) + 2 });
    expect(window(peer)[1]).toBe(5);
  });
});

describe('RFC 3708 3: what undoes a recovery, and for how long', () => {
  /** One is lost, found by SACK, sent again and acknowledged. */
  function recovered(): TcpPeer {
    const peer = tenOut({ queued: 10 });
    peer.clock.advance(100);
    sacks(peer, 0, [1, 10]);
    expect(sent(peer)).toEqual([0]);
    peer.clock.advance(100);
    sacks(peer, 10);
    return peer;
  }

  test('a D-SACK of what was sent once, and twice by the network, undoes nothing', () => {
    const peer = recovered();
    const { ssthresh } = peer.tcb.congestion;
    sacks(peer, 10, [1, 2]);
    peer.host.gives(pattern(3 * MSS));
    sent(peer);
    peer.clock.advance(100);
    sacks(peer, 13);
    sacks(peer, 13, [11, 12]);
    expect([peer.tcb.congestion.ssthresh, peer.counters.undone]).toEqual([ssthresh, 0]);
  });

  test('nor does one of a tail loss probe ten minutes later', () => {
    const peer = recovered();
    const { ssthresh } = peer.tcb.congestion;
    peer.clock.advance(600_000);
    peer.host.gives(pattern(3 * MSS));
    sent(peer);
    peer.clock.advance(250);
    expect(peer.counters.tailLossProbes).toBe(1);
    sacks(peer, 13);
    sacks(peer, 13, [12, 13]);
    expect([peer.tcb.congestion.ssthresh, peer.counters.undone]).toEqual([ssthresh, 0]);
  });

  test('once something newer is acknowledged, a D-SACK comes too late', () => {
    const peer = recovered();
    peer.host.gives(pattern(3 * MSS));
    sent(peer);
    peer.clock.advance(100);
    sacks(peer, 13);
    sacks(peer, 13, [0, 1]);
    expect(peer.counters.undone).toBe(0);
  });

  test('the D-SACK of what was sent again undoes it', () => {
    const peer = recovered();
    sacks(peer, 10, [0, 1]);
    expect(peer.counters.undone).toBe(1);
  });
});

describe('RFC 8985 6.2 step 4: the round of a D-SACK and the memory of it', () => {
  test('the round is over when what was out is acknowledged, and leaves nothing that could lie ahead after a wrap', () => {
    const peer = tenOut({ queued: 10 });
    const { recovery } = peer.tcb;
    sacks(peer, 1, [0, 1]);
    expect([recovery.reoWndMult, recovery.dsackRound]).toEqual([2, true]);
    sacks(peer, 9);
    expect(recovery.dsackRound).toBe(true);
    sacks(peer, 10);
    expect(recovery.dsackRound).toBe(false);
  });

  test('a recovery that the timer began counts, too', () => {
    const peer = tenOut({ queued: 10 });
    const { recovery } = peer.tcb;
    sacks(peer, 1, [0, 1]);
    const before = recovery.reoWndPersist;
    peer.guest.takesAll();
    peer.clock.advance(3 * peer.tcb.rtt.rto);
    expect(peer.counters.timeouts).toBeGreaterThan(0);
    peer.guest.takesAll();
    sacks(peer, 10);
    expect(recovery.reoWndPersist).toBe(before - 1);
  });
});

test('RFC 5681 3.1: after a timeout one ACK for much opens the window to ssthresh and no further', () => {
  const peer = tenOut({ queued: 10 });
  peer.clock.advance(3 * peer.tcb.rtt.rto);
  expect(peer.counters.timeouts).toBeGreaterThan(0);
  peer.guest.takesAll();
  sacks(peer, 9);
  const { cwnd, ssthresh } = peer.tcb.congestion;
  expect(cwnd).toBe(ssthresh);
});

test('RFC 9937 6.1: what had arrived before a recovery does not count as delivered in it', () => {
  const peer = tenOut({ queued: 30 });
  peer.clock.advance(100);
  sacks(peer, 0, [1, 3]);
  sacks(peer, 0, [1, 5]);
  expect(peer.tcb.recovery.phase).toBe('recovery');
  // Twelve were out: two by limited transmit. Two had arrived before, two with the ACK that begins it.
  expect(peer.tcb.recovery.recoverFlight).toBe(10 * MSS);
});

describe('what an ACK costs does not grow with what is out', () => {
  const SMALL = 536;
  const OUT = 4000;

  /** Four thousand segments are out; the first is missing, the others have arrived. */
  function muchOut(): TcpPeer {
    const peer = established({ sackPermitted: true, mss: SMALL, flowBytes: 1 << 22, windShift: 7 });
    peer.tcb.congestion.cwnd = 1 << 23;
    peer.host.gives(pattern(OUT * SMALL));
    expect(peer.tcb.recovery.log.count).toBe(OUT);
    peer.guest.takesAll();
    peer.clock.advance(10);
    return peer;
  }

  test.each([
    ['a D-SACK of long ago', [[-2, -1]]],
    ['four blocks of everything', [[1, OUT], [2, OUT], [3, OUT], [4, OUT]]], // biome-ignore format: a row
    ['a D-SACK and three blocks', [[-2, -1], [1, OUT], [1, OUT], [1, OUT]]], // biome-ignore format: a row
  ])('%s, again and again', (_, blocks) => {
    const peer = muchOut();
    const { tcb } = peer;
    const edge = (i: number): number => (tcb.iss + 1 + i * SMALL) | 0;
    const says = (ranges: readonly (readonly number[])[]): void => {
      const sack = ranges.map(([from, to]) => [edge(from!), edge(to!)] as const);
      peer.guest.sends({ ack: 1, options: { sack } });
      peer.guest.takesAll();
    };
    says([[1, OUT]]);
    says(blocks);
    let looked = 0;
    const { log } = tcb.recovery;
    const { is, order } = log;
    log.is = (i, flag) => {
      looked++;
      return is.call(log, i, flag);
    };
    log.order = (i) => {
      looked++;
      return order.call(log, i);
    };
    // That looks at everything, once a segment.
    peer.check = () => {};
    for (let i = 0; i < 10; i++) says(blocks);
    expect(looked / 10).toBeLessThan(50);
  });
});
