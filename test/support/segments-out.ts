// A sender with ten segments out and a guest that says by SACK what it has: for tests of loss recovery.

import { expect } from 'vitest';
import { pattern } from './segment-bytes.ts';
import { type PeerOptions, TcpPeer } from './tcp-peer.ts';

export const MSS = 1460;

/** Sequence number, counted from the SYN, where segment `i` of the test begins. */
export function at(i: number): number {
  return 1 + MSS * i;
}

/** Ten full segments are out, and twenty more wait; each round trip took 100 ms. */
export function tenOut(options: PeerOptions & { queued?: number } = {}): TcpPeer {
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
export function sacks(peer: TcpPeer, next: number, ...ranges: readonly (readonly [number, number])[]): void {
  const edge = (i: number): number => (peer.tcb.iss + at(i) + 1) | 0;
  const sack = ranges.map(([from, to]) => [edge(from), edge(to)] as const);
  peer.guest.sends({ ack: at(next) + 1, ...(sack.length > 0 ? { options: { sack } } : {}) });
}

/** Numbers of the segments that were sent. */
export function sent(peer: TcpPeer): number[] {
  return peer.guest.takesAll().map(({ seq }) => (seq - 2) / MSS);
}
