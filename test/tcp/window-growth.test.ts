// How the receive window follows what the user takes: window.ts.

import { describe, expect, test } from 'vitest';
import { Region } from '../../src/base/region.ts';
import * as user from '../../src/tcp/user.ts';
import { SeededRandom } from '../support/seeded-random.ts';
import { established, type TcpPeer } from '../support/tcp-peer.ts';

const MSS = 1460;
const SEGMENT = new Uint8Array(MSS);
const LIMIT = 4 << 20;
const START = 65_536;

function longFlow(): TcpPeer {
  return established({ flowBytes: LIMIT, arenaBytes: 32 << 20, sackPermitted: true });
}

const region = new Region();

/** The host takes up to `n` bytes, within the turn that runs. */
function take({ tcb, turn }: TcpPeer, n = Number.POSITIVE_INFINITY): void {
  for (let left = n; left > 0 && tcb.recvRing.length > 0; ) {
    tcb.recvRing.readable(0, region);
    const len = Math.min(region.len, left);
    user.received(tcb, len, turn.now);
    left -= len;
  }
}

/** Segments arrive in one turn, at whose end the host has taken what is in order. Returns what the last ACK says. */
function arrive(peer: TcpPeer, seqs: readonly number[]): { ack: number; edge: number } {
  peer.run(() => {
    for (const seq of seqs) peer.deliver(peer.guest.fields({ seq, data: SEGMENT }));
    take(peer);
  });
  const { ack, wnd } = peer.guest.takesAll().at(-1)!;
  return { ack, edge: ack + (wnd << peer.tcb.rcvWindShift) };
}

describe('a host that keeps up', () => {
  test('RFC 9293 3.8.6: the window is never what holds slow start back, from the first round trip on', () => {
    const peer = longFlow();
    let seq = 1;
    let edge = 1 + 65_535;
    // RFC 6928: ten segments at first; each acknowledged byte makes room for one more.
    let cwnd = 10 * MSS;
    let rounds = 0;
    for (; cwnd + MSS < LIMIT; rounds++) {
      expect(edge - seq).toBeGreaterThanOrEqual(cwnd);
      peer.advance(100);
      const flight = Array.from({ length: Math.floor(cwnd / MSS) }, (_, i) => seq + MSS * i);
      for (let i = 0; i < flight.length; i += 8) {
        const part = flight.slice(i, i + 8);
        const said = arrive(peer, part);
        cwnd += MSS * part.length;
        // At each ACK: what the peer may have out from here on fits.
        expect(said.edge - said.ack).toBeGreaterThanOrEqual(Math.min(cwnd, LIMIT - MSS));
        edge = said.edge;
      }
      seq += MSS * flight.length;
    }
    // 14 600 bytes doubled nine times are more than 4 MiB.
    expect(rounds).toBeLessThanOrEqual(9);
    expect(peer.tcb.rcvLimit).toBe(LIMIT);
  });

  test.each([0.01, 0.05])('100 ms and a loss of %f: the limit is reached within two seconds', (loss) => {
    const peer = longFlow();
    const random = new SeededRandom(3);
    let next = 1;
    let edge = 1 + 65_535;
    let lost: number[] = [];
    let rounds = 0;
    for (; peer.tcb.rcvLimit < LIMIT && rounds < 100; rounds++) {
      peer.advance(100);
      const flight = lost;
      for (; next + MSS <= edge; next += MSS) flight.push(next);
      lost = flight.filter(() => (random.word() >>> 0) / 2 ** 32 < loss);
      const through = flight.filter((seq) => !lost.includes(seq));
      for (let i = 0; i < through.length; i += 8) edge = arrive(peer, through.slice(i, i + 8)).edge;
    }
    expect(peer.tcb.rcvLimit).toBe(LIMIT);
    expect(rounds).toBeLessThanOrEqual(loss < 0.02 ? 10 : 20);
    expect(edge - next).toBeGreaterThan(0);
  });

  test('the limit is the ring, and it never shrinks', () => {
    const peer = longFlow();
    let seq = 1;
    let widest = 0;
    for (let i = 0; i < 4000; i++, seq += MSS) {
      arrive(peer, [seq]);
      expect(peer.tcb.rcvLimit).toBeGreaterThanOrEqual(widest);
      widest = peer.tcb.rcvLimit;
    }
    peer.advance(3_600_000);
    peer.guest.takesAll();
    expect(peer.tcb.rcvLimit).toBe(LIMIT);
  });
});

describe('a host that does not keep up', () => {
  /** The guest fills the window, whenever there is one. */
  function fill(peer: TcpPeer): void {
    const { tcb } = peer;
    while (((tcb.rcvAdv - tcb.rcvNxt) | 0) >= MSS) peer.guest.sends({ data: SEGMENT });
    peer.guest.takesAll();
  }

  test.each([
    ['all there is, once a second', 1000, Number.POSITIVE_INFINITY],
    ['a tenth of a window, ten times a second', 100, 6553],
    ['little by little', 10, 100],
  ])('%s: the window stays as it is', (_how, ms, bytes) => {
    const peer = longFlow();
    fill(peer);
    for (let at = 0; at < 60_000; at += ms) {
      peer.advance(ms);
      peer.run(() => take(peer, bytes));
      fill(peer);
    }
    expect(peer.tcb.rcvLimit).toBeLessThan(2 * START);
    expect(peer.tcb.recvRing.length).toBeLessThan(2 * START);
  });

  test('when it has caught up, it gets more', () => {
    const peer = longFlow();
    fill(peer);
    peer.advance(30_000);
    peer.run(() => take(peer));
    expect(peer.tcb.rcvLimit).toBe(START);
    for (let i = 0; i < 40; i++) {
      peer.advance(5);
      fill(peer);
      peer.run(() => take(peer));
    }
    expect(peer.tcb.rcvLimit).toBe(LIMIT);
  });
});
