// Where a recovery ends, what undoes it, and what an ACK may cost: RFC 8985 6.2, 7.4.2, RFC 3708, 9937.

import { describe, expect, test } from 'vitest';
import { NEVER } from '../../src/base/clock.ts';
import { pattern } from '../support/segment-bytes.ts';
import { at, MSS, sacks, sent, tenOut } from '../support/segments-out.ts';
import { established, TcpPeer } from '../support/tcp-peer.ts';

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

  // Seeds 37387, 51024 and 53220 of the simulation.
  test('7.2: where anything has been SACKed there is no probe: the reordering timer and the other one see to it', () => {
    const peer = tenOut({ queued: 10 });
    expect(peer.tcb.tlpAt).toBeLessThan(NEVER);
    peer.clock.advance(100);
    sacks(peer, 7, [9, 10]);
    expect(peer.tcb.tlpAt).toBe(NEVER);
    peer.clock.advance(peer.tcb.rtt.rto);
    expect(sent(peer)).not.toContain(9);
    expect(peer.counters.tailLossProbes).toBe(0);
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

describe('what SACK has said, and a timeout', () => {
  test('RFC 6675 5.1: after the first it is used: what has arrived is not sent again', () => {
    const peer = tenOut({ queued: 10 });
    peer.clock.advance(100);
    sacks(peer, 0, [3, 6]);
    while (peer.counters.timeouts < 1) peer.clock.advance(50);
    const again = sent(peer);
    for (const next of [1, 2, 6, 8, 10]) {
      peer.clock.advance(100);
      sacks(peer, next, ...(next < 3 ? [[3, 6] as const] : []));
      again.push(...sent(peer));
    }
    expect(again).toContain(6);
    for (const arrived of [3, 4, 5]) expect(again).not.toContain(arrived);
  });

  test('RFC 2018 8: a second one forgets it all: the peer may have thrown it away', () => {
    const peer = tenOut({ queued: 10 });
    peer.clock.advance(100);
    sacks(peer, 0, [1, 5]);
    while (peer.counters.timeouts < 2) peer.clock.advance(100);
    sent(peer);
    peer.clock.advance(100);
    sacks(peer, 1);
    expect(sent(peer)).toContain(1);
  });
});

describe('RFC 8985 7: the probe', () => {
  test('7.3: is the last segment again where the window of the peer takes nothing new', () => {
    const peer = tenOut({ queued: 30, windShift: -1, wnd: 10 * MSS });
    peer.clock.advance(Math.ceil(2 * peer.tcb.rtt.srtt));
    expect(sent(peer)).toEqual([9]);
  });

  test('7.2: comes after a second where no round trip is known', () => {
    const { guest, host, clock, tcb, counters } = new TcpPeer({ sackPermitted: true });
    guest.sendsSyn();
    host.accepts();
    guest.takesAll();
    clock.advance(tcb.rtt.rto);
    guest.takesAll();
    guest.sends({});
    tcb.congestion.cwnd = 10 * MSS;
    expect(tcb.rtt.srtt).toBe(0);
    host.gives(pattern(2 * MSS));
    guest.takesAll();
    clock.advance(999);
    expect(counters.tailLossProbes).toBe(0);
    clock.advance(1);
    expect(counters.tailLossProbes).toBe(1);
  });
});

describe('RFC 2883 4: a duplicate that lies in the second block', () => {
  test('is one', () => {
    const peer = tenOut({ queued: 10 });
    sacks(peer, 0, [2, 6]);
    sacks(peer, 0, [3, 4], [2, 6]);
    expect(peer.tcb.recovery.reoWndMult).toBe(2);
  });

  test('is none where it was never sent', () => {
    const peer = tenOut({ queued: 10 });
    sacks(peer, 0, [100, 101], [99, 102]);
    expect(peer.tcb.recovery.reoWndMult).toBe(1);
  });
});
