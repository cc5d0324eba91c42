// predicted.ts does what the steps of RFC 9293 3.10.7 would have done: two connections that hear the same, one with it and
// one without, are the same after each segment.

import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Drop } from '../../src/base/drop.ts';
import { pattern } from '../support/segment-bytes.ts';
import { established, type GuestSegment, type PeerOptions, type TcpPeer } from '../support/tcp-peer.ts';

interface Step {
  readonly what: 'next' | 'odd' | 'together' | 'take' | 'give' | 'wait' | 'full';
  readonly len: number;
  readonly odd: number;
}

const OPTIONS: readonly PeerOptions[] = [
  {},
  { timestamps: true },
  { timestamps: true, sackPermitted: true, irs: -2000, iss: -50 },
  { flowBytes: 8192, windShift: 0, sackPermitted: true },
];

const step: fc.Arbitrary<Step> = fc.record({
  what: fc.constantFrom(
    ...(['next', 'next', 'next', 'together', 'odd', 'take', 'take', 'give', 'wait', 'full'] as const),
  ),
  len: fc.oneof(fc.integer({ min: 0, max: 12 }), fc.integer({ min: 0, max: 1460 })),
  odd: fc.integer({ min: 0, max: 11 }),
});

/** What is not quite the next segment. */
function oddOne({ len, odd }: Step, { guest }: TcpPeer): GuestSegment {
  const data = pattern(len, len);
  const variants: readonly GuestSegment[] = [
    { data, seq: guest.seq + 1 },
    { data, seq: Math.max(0, guest.seq - 1) },
    { data, seq: Math.max(1, guest.seq - 1000) },
    { data, seq: guest.seq + 3000 },
    { data, ack: guest.ack + 1 },
    { data, ack: Math.max(0, guest.ack - 1) },
    { data, wnd: 500 },
    { data, flags: 'PA' },
    { data, flags: 'UA', urgent: 3 },
    { data, options: { ts: [1, 1] } },
    { data, options: { ts: null } },
    { data, options: { sack: [[guest.seq, guest.seq + 1]] } },
  ];
  return variants[odd]!;
}

function act(peer: TcpPeer, one: Step): unknown {
  const { guest, host, wire } = peer;
  const next: GuestSegment = { data: pattern(one.len, one.len), ...(one.odd === 0 ? { flags: 'FA' } : {}) };
  switch (one.what) {
    case 'next':
      return guest.sends(next);
    case 'together':
      return guest.sendsTogether({ data: pattern(one.len, 1) }, next, { data: pattern(1 + one.odd, 2) });
    case 'odd':
      return guest.sends(oddOne(one, peer));
    case 'take':
      return host.takes(one.len * 20);
    case 'give':
      return peer.state === 'ESTABLISHED' ? host.gives(pattern(Math.min(one.len, 100), 3)) : null;
    case 'wait':
      return peer.advance(one.len);
    case 'full':
      if (wire.room === 0) host.linkIsWritable();
      else wire.room = 0;
      return null;
  }
}

/** All that is remembered, as far as it is plain. */
function memoryOf({ tcb, counters, timers, account, host, drops }: TcpPeer): unknown {
  const plain = Object.entries(tcb).filter(([, value]) => typeof value !== 'object');
  const { sendRing, recvRing, gaps } = tcb;
  return [
    ...[Object.fromEntries(plain), { ...counters }, timers.armed, account.used, [...host.heard]],
    [sendRing.length, recvRing.length, recvRing.storage, gaps.count, tcb.timer.at, tcb.rtt.rto],
    [tcb.congestion.cwnd, tcb.recovery.log.count, drops.lossSnapshot()],
  ];
}

test.each(OPTIONS)('whatever the guest says, prediction changes nothing: %o', (options) => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const one = established(options);
      const other = established({ ...options, predicts: false });
      for (const each of steps) {
        expect(act(one, each)).toEqual(act(other, each));
        expect(one.guest.takesAll()).toEqual(other.guest.takesAll());
        expect(memoryOf(one)).toEqual(memoryOf(other));
      }
      expect(one.host.takes()).toBe(other.host.takes());
    }),
    { numRuns: 200 },
  );
});

test('the window of a bare ACK that came from ahead outlives the text that was before it', () => {
  const window = (options: PeerOptions): number => {
    const peer = established(options);
    const { guest, tcb } = peer;
    guest.sends({ seq: 21 });
    guest.sends({ seq: 1, data: pattern(10) });
    guest.sends({ seq: 11, data: pattern(10), wnd: 0 });
    return tcb.sndWnd;
  };
  expect(window({})).toBe(window({ predicts: false }));
  expect(window({})).toBeGreaterThan(0);
});

test('a damaged segment is none, whichever bit it is, and the right one is taken after it', () => {
  const peer = established({ timestamps: true });
  const data = pattern(64);
  const bits = 8 * (32 + data.length);
  let caught = 0;
  for (let bit = 0; bit < bits; bit++) {
    const before = memoryOf(peer);
    const verdict = peer.deliverDamaged(peer.guest.fields({ data, seq: 1 }), bit);
    if (verdict !== null) {
      expect(verdict).toBe(Drop.TcpBadChecksum);
      caught++;
    }
    expect(peer.tcb.recvRing.length).toBe(0);
    expect({ ...(before as object[])[0], shrinkAt: 0 }).toEqual({
      ...(memoryOf(peer) as object[])[0],
      shrinkAt: 0,
    });
  }
  // Those of the text, of the checksum and of the ports, and some of others.
  expect(caught).toBeGreaterThan(8 * (data.length + 6));
  peer.guest.sends({ data, seq: 1 });
  expect(peer.host.takesBytes()).toEqual(data);
});

test('storage that was taken for a damaged segment is given back', () => {
  const peer = established();
  peer.run(() => peer.deliverDamaged(peer.guest.fields({ data: pattern(1460), seq: 1 }), 8 * 100));
  expect(peer.account.used).toBeGreaterThan(0);
  peer.advance(1000);
  expect(peer.account.used).toBe(0);
});
