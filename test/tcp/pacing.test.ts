import { describe, expect, test } from 'vitest';
import type { Micros, Ms } from '../../src/base/clock.ts';
import { NEVER } from '../../src/base/clock.ts';
import { seqDiff } from '../../src/tcp/seq.ts';
import { pattern } from '../support/segment-bytes.ts';
import { TcpPeer } from '../support/tcp-peer.ts';

const MSS = 1460;
const STEP: Micros = 10;

/** A connection with a round trip, a window of `segments` in congestion avoidance, nothing out. */
function withWindow(roundTrip: Ms, segments: number): TcpPeer {
  const peer = new TcpPeer({ paced: true, sackPermitted: true, timestamps: true });
  peer.guest.sendsSyn();
  peer.host.accepts();
  peer.guest.takesAll();
  peer.clock.advance(roundTrip);
  peer.guest.sends({});
  for (let i = 0; i < 20; i++) {
    peer.host.gives('x');
    peer.clock.advance(roundTrip);
    peer.guest.takesAll();
    peer.guest.sends({});
  }
  // The first window, which goes at once, is behind us.
  peer.host.gives(pattern(20 * MSS));
  while (peer.tcb.sendRing.length > 0) {
    peer.clock.advance(roundTrip);
    peer.guest.takesAll();
    peer.guest.sends({});
  }
  const { congestion } = peer.tcb;
  congestion.onLoss(2 * segments * MSS, peer.clock.now());
  congestion.onRecovered(peer.clock.now());
  expect(congestion.cwnd).toBe(segments * MSS);
  return peer;
}

/** Moves the clock by `ms` and says what was sent when: microseconds from now, once for each segment. */
function departures(peer: TcpPeer, ms: number): Micros[] {
  const from = peer.clock.micros();
  const at: Micros[] = peer.guest.takesAll().map(() => 0);
  while (peer.clock.micros() - from < ms * 1000) {
    peer.clock.advanceMicros(STEP);
    for (const _ of peer.guest.takesAll()) at.push(peer.clock.micros() - from);
  }
  return at;
}

/** The most that went in any `micros`. */
function mostWithin(at: readonly Micros[], micros: Micros): number {
  return Math.max(...at.map((begin) => at.filter((t) => t >= begin && t < begin + micros).length));
}

describe('on a way of 4 ms with a window of forty segments', () => {
  test('a window that opens at once is spread over most of a round trip, in small bursts', () => {
    const peer = withWindow(4, 40);
    peer.host.gives(pattern(100 * MSS));
    const at = departures(peer, 4);
    expect(at.length).toBe(40);
    // Five quarters of the window in a round trip, and the first four at once.
    expect(at.at(-1)).toBeGreaterThan(2500);
    expect(at.at(-1)).toBeLessThan(3200);
    expect(mostWithin(at, 100)).toBeLessThanOrEqual(5);
    expect(mostWithin(at, 1000)).toBeLessThanOrEqual(18);
  });

  test('in slow start it is spread over half of one: twice the window in a round trip', () => {
    const peer = withWindow(4, 40);
    Object.assign(peer.tcb.congestion, { ssthresh: 1 << 30 });
    peer.host.gives(pattern(100 * MSS));
    const at = departures(peer, 4);
    expect(at.length).toBe(40);
    expect(at.at(-1)).toBeGreaterThan(1500);
    expect(at.at(-1)).toBeLessThan(2000);
  });

  test('ACKs that come evenly hold nothing back', () => {
    const peer = withWindow(4, 40);
    peer.host.gives(pattern(300 * MSS));
    departures(peer, 4);
    const { tcb } = peer;
    let held = 0;
    for (let i = 0; i < 80; i++) {
      peer.guest.sends({ ack: seqDiff(tcb.sndUna, tcb.iss) + 2 * MSS });
      if (tcb.pacer!.isHolding) held++;
      expect(peer.guest.takesAll().length).toBeGreaterThanOrEqual(2);
      peer.clock.advanceMicros(200);
      peer.guest.takesAll();
    }
    expect(held).toBe(0);
  });

  test('one ACK for a whole window is not answered by a whole window', () => {
    const peer = withWindow(4, 40);
    peer.host.gives(pattern(300 * MSS));
    departures(peer, 8);
    peer.guest.sends({});
    const at = departures(peer, 4);
    expect(at.length).toBe(41);
    expect(mostWithin(at, 100)).toBeLessThanOrEqual(5);
  });

  test('what is held back counts as sent where the window asks whether it was full', () => {
    const peer = withWindow(4, 40);
    peer.host.gives(pattern(300 * MSS));
    const before = peer.tcb.congestion.cwnd;
    departures(peer, 2);
    expect(peer.tcb.pacer!.isHolding).toBe(true);
    peer.guest.sends({ ack: seqDiff(peer.tcb.sndUna, peer.tcb.iss) + 2 * MSS });
    expect(peer.tcb.congestion.cwnd).toBeGreaterThan(before);
  });

  test('what is lost is sent again at the same pace', () => {
    const peer = withWindow(4, 40);
    peer.host.gives(pattern(40 * MSS));
    departures(peer, 8);
    const { tcb, clock } = peer;
    // The probe of the tail, then the timeout.
    clock.advance(2 * tcb.rtt.rto);
    expect(peer.counters.timeouts).toBe(1);
    tcb.congestion.cwnd = 100 * MSS;
    peer.run(() => tcb.user.wantOutput());
    peer.guest.takesAll();
    const at = departures(peer, 4);
    expect(at.length).toBeGreaterThan(20);
    expect(mostWithin(at, 100)).toBeLessThanOrEqual(16);
  });

  test('an ACK and a probe of a closed window wait for nothing', () => {
    const peer = withWindow(4, 40);
    peer.host.gives(pattern(100 * MSS));
    peer.guest.takesAll();
    expect(peer.tcb.pacer!.isHolding).toBe(true);
    peer.guest.sends({ data: 'hello', ack: seqDiff(peer.tcb.sndUna, peer.tcb.iss) });
    expect(peer.guest.takesAll().map(({ len }) => len)).toEqual([0]);
    peer.tcb.probe = true;
    peer.run(() => peer.tcb.user.wantOutput());
    expect(peer.guest.takesAll().length).toBe(1);
  });

  test('after silence eight segments of the first window go at once, the others behind them', () => {
    const peer = withWindow(4, 40);
    peer.clock.advance(5000);
    peer.host.gives(pattern(100 * MSS));
    expect(peer.guest.takesAll().length).toBe(8);
    expect(departures(peer, 2).length).toBe(2);
  });

  test('a connection that ends leaves no timer', () => {
    const peer = withWindow(4, 40);
    peer.host.gives(pattern(100 * MSS));
    expect(peer.tcb.pacer!.isHolding).toBe(true);
    peer.guest.sends({ flags: 'R' });
    expect(peer.state).toBe('CLOSED');
    expect([peer.timers.armed, peer.tcb.paceAt, peer.tcb.pacer]).toEqual([0, NEVER, null]);
    peer.clock.advance(10);
    expect(peer.clock.soonCount).toBe(0);
  });
});

test('of the first window of a connection eight segments go at once: RFC 6928 allows ten', () => {
  const peer = new TcpPeer({ paced: true });
  peer.guest.sendsSyn();
  peer.host.accepts();
  peer.guest.takesAll();
  peer.clock.advance(100);
  peer.guest.sends({});
  peer.host.gives(pattern(50 * MSS));
  expect(peer.guest.takesAll().length).toBe(8);
  const rest = departures(peer, 50);
  expect(rest.length).toBe(2);
  expect(rest[0]).toBeGreaterThan(4000);
});

test('pacing that is switched off holds nothing back', () => {
  const peer = new TcpPeer({ paced: false });
  peer.guest.sendsSyn();
  peer.host.accepts();
  peer.clock.advance(100);
  peer.guest.takesAll();
  peer.guest.sends({});
  peer.host.gives(pattern(50 * MSS));
  expect(peer.guest.takesAll().length).toBe(10);
  expect(peer.tcb.pacer).toBe(null);
});

test('a single segment that is left waits for its own time, not for that of a burst', () => {
  const peer = withWindow(100, 20);
  peer.host.gives(pattern(4 * MSS));
  peer.guest.takesAll();
  peer.host.gives('x');
  const at = departures(peer, 100);
  expect(at.length).toBe(1);
  expect(at[0]).toBeLessThan(6000);
});

test('waiting long takes the alarm, and does not keep the CPU busy', () => {
  const peer = withWindow(100, 20);
  peer.host.gives(pattern(100 * MSS));
  peer.guest.takesAll();
  expect(peer.tcb.paceAt).toBeLessThan(NEVER);
  expect(peer.clock.soonCount).toBe(0);
  const at = departures(peer, 100);
  expect(at.length).toBe(16);
  expect(mostWithin(at, 5000)).toBeLessThanOrEqual(5);
});

test.each([0, 1])('a guest that is near is not paced: round trip of %i ms', (roundTrip) => {
  const peer = withWindow(roundTrip, 40);
  peer.host.gives(pattern(100 * MSS));
  expect(peer.guest.takesAll().length).toBe(40);
  expect(peer.tcb.pacer).toBe(null);
});

test('one short round trip, and a way is near', () => {
  const peer = withWindow(4, 40);
  peer.host.gives(pattern(200 * MSS));
  peer.guest.takesAll();
  expect(peer.tcb.pacer!.isHolding).toBe(true);
  peer.guest.sends({});
  expect(peer.tcb.pacer).toBe(null);
  expect(peer.guest.takesAll().length).toBeGreaterThan(30);
  peer.clock.advance(10);
  expect(peer.clock.soonCount).toBe(0);
});
