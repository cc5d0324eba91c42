// Where a recovery ends, what undoes it, and what an ACK may cost: RFC 8985 6.2, 7.4.2, RFC 3708, 9937.

import { describe, expect, test } from 'vitest';
import { NEVER } from '../../src/base/clock.ts';
import { pattern } from '../support/segment-bytes.ts';
import { at, MSS, sacks, sent, tenOut } from '../support/segments-out.ts';
import { established, type TcpPeer } from '../support/tcp-peer.ts';

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
