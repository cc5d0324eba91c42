import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { freeRings } from '../../src/tcp/user.ts';
import { optionBytes } from '../support/segment-bytes.ts';
import { type GuestSegment, TcpPeer } from '../support/tcp-peer.ts';

// Whatever a guest sends, in whatever state: nothing throws, the invariants hold (the bench asks after every segment),
// and a flow holds no more of the arena than its two rings may.

const FLOW_BYTES = 16_384;

/** Numbers near the ones that matter, and any others. */
const near = fc.oneof(
  { weight: 4, arbitrary: fc.integer({ min: -3, max: 3 }) },
  {
    weight: 2,
    arbitrary: fc.constantFrom(-65_536, -1460, 1460, 4096, 16_383, 16_384, 16_385, 65_535, 65_536),
  },
  { weight: 1, arbitrary: fc.integer() },
);

interface Shot {
  readonly seq: number;
  readonly seqFrom: 'next' | 'edge' | 'fin' | 'start';
  readonly ack: number;
  readonly ackFrom: 'una' | 'max' | 'start';
  readonly flags: string;
  readonly wnd: number;
  readonly len: number;
  readonly options: readonly number[];
}

const options = fc.oneof(
  { weight: 4, arbitrary: fc.constant([] as number[]) },
  {
    weight: 2,
    arbitrary: fc.tuple(fc.integer(), fc.integer()).map(([a, b]) => optionBytes({ ts: [a, b] })),
  },
  {
    weight: 1,
    arbitrary: fc
      .array(fc.tuple(fc.integer(), fc.integer()), { maxLength: 4 })
      .map((sack) => optionBytes({ sack })),
  },
  { weight: 1, arbitrary: fc.uint8Array({ maxLength: 40 }).map((bytes) => [...bytes]) },
);

const shot: fc.Arbitrary<Shot> = fc.record({
  seq: near,
  seqFrom: fc.constantFrom('next', 'next', 'edge', 'fin', 'start'),
  ack: near,
  ackFrom: fc.constantFrom('una', 'max', 'max', 'start'),
  flags: fc.oneof(
    { weight: 6, arbitrary: fc.constantFrom('A', 'A', 'PA', 'FA', 'S', 'SA', 'R', 'RA', 'F', 'FRSPAU', '') },
    { weight: 1, arbitrary: fc.subarray([...'FSRPAUEC']).map((letters) => letters.join('')) },
  ),
  wnd: fc.oneof(fc.constantFrom(0, 1, 100, 65_535), fc.integer({ min: 0, max: 65_535 })),
  len: fc.oneof(fc.constantFrom(0, 0, 1, 1460), fc.integer({ min: 0, max: 3000 })),
  options,
});

type Act =
  | { readonly kind: 'shots'; readonly shots: readonly Shot[] }
  | { readonly kind: 'time'; readonly ms: number }
  | { readonly kind: 'user'; readonly what: 'give' | 'take' | 'close' | 'accept' | 'block' | 'unblock' };

const act: fc.Arbitrary<Act> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('shots' as const),
      shots: fc.array(shot, { minLength: 1, maxLength: 4 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('time' as const),
      ms: fc.constantFrom(1, 200, 1000, 60_000, 7_200_000),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant('user' as const),
      what: fc.constantFrom('give', 'give', 'take', 'close', 'accept', 'block', 'unblock'),
    }),
  },
);

/** How a connection begins, before the shots. */
const START = [
  'listening',
  'connecting',
  'held',
  'accepted',
  'established',
  'closed',
  'half-closed',
] as const;

const setup = fc.record({
  start: fc.constantFrom(...START),
  timestamps: fc.boolean(),
  sackPermitted: fc.boolean(),
  windShift: fc.constantFrom(-1, 0, 7, 14),
  mss: fc.constantFrom(0, 1, 536, 1460),
  mtu: fc.constantFrom(68, 576, 1500, 65_521),
  iss: fc.constantFrom(-300, 0x7fffff00, 0),
  irs: fc.constantFrom(-300, 0x7fffff00, 0),
  flowBytes: fc.constantFrom(4096, FLOW_BYTES),
});

function begin(peer: TcpPeer, start: (typeof START)[number]): void {
  const { guest, host } = peer;
  if (start === 'listening') return;
  if (start === 'connecting') {
    host.connects();
    return;
  }
  guest.sendsSyn();
  if (start === 'held') return;
  host.accepts();
  guest.takesAll();
  if (start === 'accepted') return;
  guest.sends({});
  if (start === 'closed') host.closes();
  if (start === 'half-closed') guest.sends({ flags: 'FA' });
}

function aim(peer: TcpPeer, shot: Shot): GuestSegment {
  const { tcb } = peer;
  const seq = { next: tcb.rcvNxt, edge: tcb.rcvAdv, fin: tcb.rcvNxt - 1, start: tcb.irs }[shot.seqFrom];
  const ack = { una: tcb.sndUna, max: tcb.sndMax, start: tcb.iss }[shot.ackFrom];
  return {
    seq: (seq + shot.seq - peer.options.irs) | 0,
    ack: (ack + shot.ack - tcb.iss) | 0,
    flags: shot.flags,
    wnd: shot.wnd,
    data: new Uint8Array(shot.len),
    // What is left out is added by the bench where timestamps are in force: half of the shots.
    options: shot.options.length > 0 ? { ts: null, raw: shot.options } : {},
  };
}

function perform(peer: TcpPeer, one: Act): void {
  const { guest, host, tcb, wire } = peer;
  if (one.kind === 'time') peer.advance(one.ms);
  else if (one.kind === 'shots') {
    // A segment at a time within the turn: each is aimed at what the ones before have left.
    peer.run(() => {
      for (const shot of one.shots) guest.sends(aim(peer, shot));
    });
  } else if (one.what === 'block') wire.room = 0;
  else if (one.what === 'unblock') host.linkIsWritable();
  else if (one.what === 'take') host.takes(1000);
  else if (tcb.state === 'CLOSED') return;
  else if (one.what === 'give') {
    if (!tcb.finQueued && tcb.sendRing.room >= 1500) host.gives(new Uint8Array(1500));
  } else if (one.what === 'close') host.closes();
  else host.accepts();
}

describe('any segments in any state', () => {
  test('nothing throws, the invariants hold, the arena is bounded and comes back', {
    timeout: 200000,
  }, () => {
    fc.assert(
      fc.property(setup, fc.array(act, { maxLength: 40 }), ({ start, ...options }, acts) => {
        const peer = new TcpPeer({ ...options, arenaBytes: 1 << 20 });
        begin(peer, start);
        for (const one of acts) {
          perform(peer, one);
          expect(peer.account.used).toBeLessThanOrEqual(2 * options.flowBytes);
          expect(peer.tcb.gaps.count).toBeLessThanOrEqual(256);
          peer.guest.takesAll();
        }
        if (peer.tcb.state === 'CLOSED') expect(peer.timers.armed).toBe(0);
        peer.host.aborts();
        freeRings(peer.tcb);
        expect(peer.account.used).toBe(0);
        expect(peer.timers.armed).toBe(0);
      }),
      { numRuns: 600, interruptAfterTimeLimit: 8000 },
    );
  });
});
