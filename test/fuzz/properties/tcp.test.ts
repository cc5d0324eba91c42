// Segments on one connection, any of them in any order, and a host that gives, takes and closes meanwhile. After each
// segment and each output TCP's invariants hold (tcp-peer.ts sees to it), and what either side gets of the other is the
// other's stream, from its first byte on: whatever was said twice, ahead of its turn, beyond the window, or in a lie.

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { pattern, patternByte } from '../../support/segment-bytes.ts';
import { established, establishedActively, type TcpPeer } from '../../support/tcp-peer.ts';

/** What happens: numbers say where, relative to what fits. */
type Act =
  | {
      readonly do: 'segment';
      readonly at: number;
      readonly ack: number;
      readonly len: number;
      readonly flags: string;
      readonly wnd: number;
      readonly sack: readonly [number, number][];
      readonly ts: number;
    }
  | { readonly do: 'give' | 'take' | 'wait'; readonly n: number }
  | { readonly do: 'close' | 'blocked' | 'free' };

const near = fc.constantFrom(0, 0, 0, 0, 1, -1, 100, -100, 1460, -1460, 65535, 65536, -65536, 0x3fffffff);
const segment = fc.record({
  do: fc.constant('segment' as const),
  at: near,
  ack: fc.constantFrom(0, 0, 0, 0, 0, 1, -1, -1460, 1460, -100_000, 0x40000000),
  len: fc.constantFrom(0, 0, 0, 1, 10, 100, 1460),
  flags: fc.constantFrom(
    'A',
    'A',
    'A',
    'A',
    'A',
    'AP',
    'FA',
    'FA',
    'R',
    'RA',
    'S',
    'SA',
    '',
    'UA',
    'FSRPAUEC',
  ),
  wnd: fc.constantFrom(65535, 65535, 65535, 0, 1, 500),
  sack: fc.array(fc.tuple(fc.integer({ min: -3000, max: 30_000 }), fc.nat(5000)), { maxLength: 3 }),
  ts: fc.constantFrom(0, 0, 0, 0, 0, -1, -5000, 1000),
});
const act: fc.Arbitrary<Act> = fc.oneof(
  { weight: 6, arbitrary: segment },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('give' as const), n: fc.constantFrom(1, 100, 5000, 40_000) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('take' as const), n: fc.constantFrom(1, 1000, 100_000) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('wait' as const), n: fc.constantFrom(1, 20, 300, 3000, 70_000) }),
  },
  { weight: 1, arbitrary: fc.constantFrom<Act>({ do: 'close' }, { do: 'blocked' }, { do: 'free' }) },
);

const ways = fc.record({
  timestamps: fc.boolean(),
  sackPermitted: fc.boolean(),
  windShift: fc.constantFrom(-1, 0, 7),
  mss: fc.constantFrom(0, 48, 536, 1460),
  iss: fc.constantFrom(1000, -500, 0x7fffff00),
  irs: fc.constantFrom(7, -300, 0x7ffffe00),
  flowBytes: fc.constantFrom(4096, 65536, 262_144),
  arenaBytes: fc.constant(1 << 20),
});

/** What the two sides have got of each other. */
class Judge {
  private readonly peer: TcpPeer;
  private given = 0;
  private taken = 0;

  constructor(peer: TcpPeer) {
    this.peer = peer;
  }

  do(what: Act): void {
    const { peer } = this;
    if (what.do === 'segment') this.segment(what);
    else if (what.do === 'give') this.give(what.n);
    else if (what.do === 'take') this.take(what.n);
    else if (what.do === 'wait') peer.advance(what.n);
    else if (what.do === 'close') peer.host.closes();
    else if (what.do === 'blocked') peer.wire.room = 0;
    else peer.host.linkIsWritable();
    this.look();
  }

  private segment(what: Extract<Act, { do: 'segment' }>): void {
    const { guest, tcb } = this.peer;
    const next = (tcb.rcvNxt - tcb.irs) | 0;
    const seq = (next + what.at) | 0;
    const una = (tcb.sndMax - tcb.iss) | 0;
    guest.sends({
      seq,
      ack: una + what.ack,
      flags: what.flags,
      wnd: what.wnd,
      // The guest's stream is the same wherever it is cut; its first byte is behind the SYN.
      data: Uint8Array.from({ length: what.len }, (_, i) => patternByte((seq - 1 + i) >>> 0)),
      options: {
        ...(tcb.timestamps ? { ts: [5000 + 3 * this.taken + what.ts, 0] as const } : {}),
        sack: what.sack.map(
          ([left, len]) => [(tcb.sndUna + left) | 0, (tcb.sndUna + left + len) | 0] as const,
        ),
      },
    });
  }

  private give(n: number): void {
    const { peer } = this;
    const { sendRing, finQueued, state } = peer.tcb;
    if (finQueued || state === 'CLOSED') return;
    const len = Math.min(n, sendRing.room);
    if (len === 0) return;
    peer.host.gives(pattern(len, this.given));
    this.given += len;
  }

  private take(n: number): void {
    const bytes = this.peer.host.takesBytes(n);
    for (const [i, byte] of bytes.entries()) {
      if (byte !== patternByte(this.taken + i))
        throw new Error(`byte ${this.taken + i} of the guest is wrong`);
    }
    this.taken += bytes.length;
  }

  /** What was sent to the guest is part of the host's stream. */
  private look(): void {
    for (const sent of this.peer.guest.takesAll()) {
      for (let i = 0; i < sent.len; i++) {
        const at = sent.seq - 1 + i;
        if (at >= this.given) throw new Error(`byte ${at} was sent, ${this.given} were given`);
        if (sent.text.charCodeAt(i) !== patternByte(at)) throw new Error(`byte ${at} of the host is wrong`);
      }
    }
  }
}

function play(peer: TcpPeer, acts: readonly Act[]): void {
  const judge = new Judge(peer);
  for (const what of acts) judge.do(what);
  judge.do({ do: 'take', n: Number.POSITIVE_INFINITY });
  if (peer.state !== 'CLOSED') peer.host.aborts();
  peer.run(() => {
    peer.tcb.sendRing.free();
    peer.tcb.recvRing.free();
  });
  expect(peer.account.used, 'nothing of the arena is held').toBe(0);
  expect(peer.timers.armed, 'no timer is armed').toBe(0);
}

describe('any segments, on a connection', () => {
  test('that the guest has opened', () => {
    fc.assert(
      fc.property(ways, fc.array(act, { maxLength: 60 }), (how, acts) => play(established(how), acts)),
      { numRuns: 400 },
    );
  });

  test('that the host has opened', () => {
    fc.assert(
      fc.property(ways, fc.array(act, { maxLength: 60 }), (how, acts) =>
        play(establishedActively(how), acts),
      ),
      { numRuns: 150 },
    );
  });
});
