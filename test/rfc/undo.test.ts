// What takes a recovery back, and what does not: RFC 3522, 4015, 3708. And what RACK takes for a sign: RFC 8985 6.2.

import { describe, expect, test } from 'vitest';
import { pattern } from '../support/segment-bytes.ts';
import { MSS, sacks, sent, tenOut } from '../support/segments-out.ts';
import { established, type TcpPeer } from '../support/tcp-peer.ts';

/** What TcpPeer's connections add to the clock, and what their timestamps leave of a segment. */
const TS_OFFSET = 77;
const STAMPED = MSS - 12;

/** One was lost and has arrived since; of what was out as its recovery began, two by limited transmit are left, from `next` on. */
function inRecovery(): { peer: TcpPeer; next: number } {
  const peer = tenOut({ queued: 30 });
  peer.clock.advance(100);
  for (const to of [2, 3, 4, 10]) sacks(peer, 0, [1, to]);
  expect(sent(peer)).toContain(0);
  peer.clock.advance(50);
  sacks(peer, 10);
  sent(peer);
  expect(peer.tcb.recovery).toMatchObject({ phase: 'recovery', reordered: false });
  return { peer, next: 10 };
}

describe('RFC 3522 3.2: Eifel', () => {
  /** The timer has fired, and the first segment went again. The echo of what was sent before, as segments that are late say it. */
  function timedOut(): { peer: TcpPeer; echo: number } {
    const peer = tenOut({ timestamps: true, sackPermitted: false });
    const echo = peer.clock.now() + TS_OFFSET;
    peer.clock.advance(peer.tcb.rtt.rto);
    expect(peer.guest.takesAll()).toHaveLength(1);
    return { peer, echo };
  }

  test('the first ACK of something new decides: a later one with an old echo undoes nothing', () => {
    const { peer, echo } = timedOut();
    peer.clock.advance(100);
    peer.guest.sends({ ack: 2 + STAMPED, options: { ts: [5000, peer.clock.now() - 100 + TS_OFFSET] } });
    const { ssthresh } = peer.tcb.congestion;
    peer.guest.sends({ ack: 2 + 2 * STAMPED, options: { ts: [5001, echo] } });
    expect(peer.counters.undone).toBe(0);
    expect([peer.tcb.recovery.phase, peer.tcb.congestion.ssthresh]).toEqual(['loss', ssthresh]);
  });

  test('an ACK of nothing new decides nothing', () => {
    const { peer, echo } = timedOut();
    peer.guest.sends({ ack: 2, options: { ts: [5000, echo] } });
    expect(peer.counters.undone).toBe(0);
    peer.guest.sends({ ack: 2 + STAMPED, options: { ts: [5001, echo] } });
    expect(peer.counters.undone).toBe(1);
  });
});

test('RFC 5681 3.1 (4): after a timeout that was undone the next one counts as the first for its segment', () => {
  const peer = tenOut({ queued: 10 });
  peer.guest.takesAll();
  while (peer.counters.timeouts === 0) peer.clock.advance(1);
  expect(sent(peer)).toContain(0);
  // What was sent again has come twice, says the guest, and still does not acknowledge it.
  sacks(peer, 0, [0, 1], [0, 2]);
  expect(peer.counters.undone).toBe(1);
  const { ssthresh } = peer.tcb.congestion;
  while (peer.counters.timeouts === 1) peer.clock.advance(1);
  expect(peer.tcb.congestion.ssthresh).toBeLessThan(ssthresh);
});

describe('RFC 8985 6.2 steps 2 to 4: which arrival says what is lost', () => {
  test('not that of what was sent twice where the echo is from before: it was the first sending that came', () => {
    const peer = tenOut({ timestamps: true, queued: 30 });
    const mark = (i: number): number => (peer.tcb.iss + 2 + i * STAMPED) | 0;
    const echo = peer.clock.now() + TS_OFFSET;
    peer.clock.advance(100);
    peer.guest.sends({ ack: 2, options: { sack: [[mark(1), mark(4)]], ts: [5000, echo] } });
    const again = (): number => peer.guest.takesAll().filter(({ seq }) => seq < 2 + 10 * STAMPED).length;
    expect(again()).toBe(1);
    // Later than any round trip before, and still the answer to the first sending.
    peer.clock.advance(120);
    peer.guest.sends({ ack: 2 + 4 * STAMPED, options: { ts: [5001, echo] } });
    expect(again()).toBe(0);
    expect([peer.counters.retransmits, peer.tcb.recovery.rackRtt]).toEqual([1, 100]);
  });

  test('step 2: the one that was sent last, whatever comes after it', () => {
    const peer = tenOut({ queued: 10 });
    peer.clock.advance(100);
    sacks(peer, 0, [6, 7]);
    peer.clock.advance(1);
    sacks(peer, 0, [2, 3], [6, 7]);
    sent(peer);
    peer.clock.advance(60);
    // Of the five that were sent before it one has gone again.
    expect(sent(peer)).toEqual([0]);
    expect(peer.tcb.recovery.log.lostBytes).toBe(4 * MSS);
    expect(peer.counters.timeouts).toBe(0);
  });

  test('3.3.2, step 4: in a recovery one segment behind a hole is enough where none has overtaken another', () => {
    const { peer, next } = inRecovery();
    sacks(peer, next, [next + 1, next + 2]);
    expect(sent(peer)).toContain(next);
  });

  test('3.3.2: the window is no wider than a smoothed round trip, however many D-SACKs have come', () => {
    const peer = tenOut({ queued: 10, wnd: 65_535 });
    const { recovery, rtt } = peer.tcb;
    recovery.reoWndMult = 255;
    recovery.reordered = true;
    peer.clock.advance(100);
    sacks(peer, 0, [1, 2]);
    const srtt = Math.ceil(rtt.srtt);
    peer.clock.advance(srtt - 1);
    expect(sent(peer)).toEqual([]);
    peer.clock.advance(1);
    expect(sent(peer)).toEqual([0]);
    expect([peer.counters.timeouts, peer.counters.fastRetransmits]).toEqual([0, 1]);
  });
});

describe('RFC 8985 7: the tail loss probe', () => {
  /** The segment that is out as a probe, if any is within `ms`. */
  function probed(peer: TcpPeer, ms: number): number[] {
    peer.clock.advance(ms);
    const went = sent(peer);
    return peer.counters.tailLossProbes > 0 ? went : [];
  }

  test('7.4.2: one with new data is no sign of a loss, whatever is acknowledged behind it', () => {
    const peer = tenOut({ queued: 30 });
    expect(probed(peer, Math.ceil(2 * peer.tcb.rtt.srtt))).toEqual([10]);
    const { ssthresh } = peer.tcb.congestion;
    peer.clock.advance(20);
    sacks(peer, 10);
    sent(peer);
    sacks(peer, 13);
    expect(peer.tcb.congestion.ssthresh).toBe(ssthresh);
    expect(peer.tcb.recovery.probeOut).toBe(false);
  });

  test('7.2: none is armed in a recovery, also where nothing is lost or SACKed at the time', () => {
    const { peer } = inRecovery();
    const { recovery, rtt } = peer.tcb;
    expect([recovery.log.lostBytes, recovery.log.sackedCount]).toEqual([0, 0]);
    expect(Math.ceil(2 * rtt.srtt)).toBeLessThan(rtt.rto);
    peer.clock.advance(rtt.rto);
    expect([peer.counters.tailLossProbes, peer.counters.timeouts]).toEqual([0, 1]);
  });

  test('deviates from 7.2: where round trips differ much it waits for SRTT and two RTTVAR', () => {
    const { guest, host, clock, tcb, counters } = established({ sackPermitted: true });
    for (const ms of [20, 20, 20, 20, 150]) {
      host.gives('x');
      guest.takesAll();
      clock.advance(ms);
      guest.sends({});
    }
    const { srtt, usualMost, rto } = tcb.rtt;
    const due = Math.ceil(usualMost);
    expect(2 * srtt).toBeLessThan(due);
    expect(due).toBeLessThan(rto);
    host.gives(pattern(3 * MSS));
    guest.takesAll();
    clock.advance(due - 1);
    expect(counters.tailLossProbes).toBe(0);
    clock.advance(1);
    expect(counters.tailLossProbes).toBe(1);
  });
});
