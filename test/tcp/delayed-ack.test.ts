import { describe, expect, test } from 'vitest';
import { NEVER } from '../../src/base/clock.ts';
import { Drop } from '../../src/base/drop.ts';
import { discard } from '../../src/tcp/user.ts';
import { pattern } from '../support/segment-bytes.ts';
import { established, type HostSegment, type PeerOptions, type TcpPeer } from '../support/tcp-peer.ts';

// In a conversation of question and answer the ACK of a question waits for the answer, and no longer than this.

const ACK_DELAY = 5;
/** Exchanges after which it waits. */
const EXCHANGES = 3;
const BARE = { flags: 'A', len: 0 };
/** The next number that each side uses after conversation(), all segments having one byte. */
const NEXT = 1 + EXCHANGES;

/** One question that is acknowledged at once, and its answer. */
function exchange(peer: TcpPeer): void {
  const { guest, host, tcb } = peer;
  guest.sends({ data: 'q' });
  guest.expects({ ...BARE, ack: (tcb.rcvNxt - tcb.irs) | 0 });
  host.gives('a');
  guest.expects({ text: 'a' });
  guest.expectsNothing();
}

/** One whose answer is the ACK. */
function quietExchange(peer: TcpPeer, answer = 'a'): HostSegment {
  const { guest, host, tcb } = peer;
  guest.sends({ data: 'q' });
  guest.expectsNothing();
  host.gives(answer);
  const sent = guest.expects({ flags: 'A', text: answer, ack: (tcb.rcvNxt - tcb.irs) | 0 });
  guest.expectsNothing();
  return sent;
}

/** The next question is left to its answer; the guest has acknowledged everything. */
function conversation(options: PeerOptions = {}): TcpPeer {
  const peer = established(options);
  for (let i = 0; i < EXCHANGES; i++) exchange(peer);
  peer.guest.sends({});
  peer.guest.expectsNothing();
  return peer;
}

/** A question is there whose ACK waits. */
function waiting(options: PeerOptions = {}): TcpPeer {
  const peer = conversation(options);
  peer.guest.sends({ data: 'q' });
  peer.guest.expectsNothing();
  return peer;
}

/** The next `ms` bring no segment but those that came already. */
function staysQuiet({ guest, clock }: TcpPeer, ms: number): void {
  guest.expectsNothing();
  clock.advance(ms);
  guest.expectsNothing();
}

/** That an ACK waits may not show in anything but the time. */
const ways: Readonly<Record<string, (peer: TcpPeer) => void>> = {
  'the next question acknowledges the answer': () => {},
  'the answer is acknowledged before the next question': ({ guest }) => {
    guest.sends({});
    guest.expectsNothing();
  },
};

describe.each(Object.entries(ways))('RFC 9293 3.8.6.3 (SHLD-18), %s', (_, between) => {
  function afterThree(): TcpPeer {
    const peer = established();
    for (let i = 0; i < EXCHANGES; i++) {
      exchange(peer);
      between(peer);
    }
    return peer;
  }

  test('the first three questions are acknowledged at once, from the fourth on the answer does it', () => {
    const peer = afterThree();
    for (let i = 0; i < 10; i++) {
      quietExchange(peer);
      between(peer);
    }
    expect(peer.host.takes()).toBe('q'.repeat(EXCHANGES + 10));
    staysQuiet(peer, ACK_DELAY);
  });

  test('an answer in the same turn is one segment, as ever', () => {
    const peer = afterThree();
    peer.run(() => {
      peer.guest.sends({ data: 'q' });
      peer.host.put(pattern(1));
    });
    peer.guest.expects({ len: 1, ack: NEXT + 1 });
    staysQuiet(peer, ACK_DELAY);
  });

  test('RFC 5681 4.2: without an answer the ACK goes after 5 ms, not before', () => {
    const peer = afterThree();
    const { guest, clock } = peer;
    guest.sends({ data: 'q' });
    staysQuiet(peer, ACK_DELAY - 1);
    clock.advance(1);
    guest.expects({ ...BARE, seq: NEXT, ack: NEXT + 1 });
    staysQuiet(peer, ACK_DELAY);
  });

  test('SHLD-19: a second segment in the meantime is acknowledged at once, and the first with it', () => {
    const peer = afterThree();
    const { guest } = peer;
    guest.sends({ data: 'q' });
    guest.expectsNothing();
    guest.sends({ data: 'r' });
    guest.expects({ ...BARE, ack: NEXT + 2 });
    staysQuiet(peer, ACK_DELAY);
  });

  test('two segments in one turn are acknowledged at its end', () => {
    const peer = afterThree();
    peer.guest.sendsTogether({ data: 'q' }, { data: 'r' });
    peer.guest.expects({ ...BARE, ack: NEXT + 2 });
    staysQuiet(peer, ACK_DELAY);
  });
});

describe('what is a conversation', () => {
  test('the host may ask and the guest answer: the next question acknowledges the answer', () => {
    const { guest, host } = established();
    host.gives('Q');
    guest.expects({ text: 'Q' });
    for (let i = 0; i < 10; i++) {
      guest.sends({ data: 'a' });
      if (i < EXCHANGES) guest.expects({ ...BARE, ack: 2 + i });
      guest.expectsNothing();
      host.gives('Q');
      guest.expects({ text: 'Q', ack: 2 + i });
    }
  });

  test('an answer of several segments keeps it, its first one is the ACK', () => {
    const peer = conversation();
    const { guest, host } = peer;
    for (let i = 0; i < 5; i++) {
      guest.sends({ data: 'q' });
      guest.expectsNothing();
      host.gives(pattern(3000));
      expect(guest.takesAll().map(({ len, ack }) => [len, ack])).toEqual(
        [1460, 1460, 80].map((len) => [len, NEXT + 1 + i]),
      );
    }
    quietExchange(peer);
  });

  test('what the host says unasked is no exchange, and ends none', () => {
    const peer = established();
    const { guest, host } = peer;
    for (let i = 0; i < 5; i++) {
      host.gives('news');
      guest.expects({ text: 'news' });
    }
    for (let i = 0; i < EXCHANGES; i++) exchange(peer);
    host.gives('news');
    guest.expects({ text: 'news' });
    quietExchange(peer);
  });

  test('two questions for one answer are none: three exchanges in a row, from there', () => {
    const peer = established();
    const { guest, host } = peer;
    exchange(peer);
    exchange(peer);
    for (const data of ['q', 'r']) {
      guest.sends({ data });
      guest.expects(BARE);
    }
    host.gives('a');
    guest.expects({ text: 'a' });
    for (let i = 0; i < EXCHANGES; i++) exchange(peer);
    quietExchange(peer);
  });

  test('what is sent again is no answer, though it carries the ACK', () => {
    const peer = conversation();
    const { guest, host } = peer;
    host.gives('lost');
    guest.takesAll();
    peer.advance(peer.tcb.rtoAt - peer.clock.now() - 2);
    guest.sends({ data: 'q', ack: NEXT });
    peer.advance(2);
    guest.expects({ text: 'lost', ack: NEXT + 1 });
    guest.sends({ data: 'r' });
    host.gives('a');
    guest.takesAll();
    for (let i = 0; i < EXCHANGES; i++) exchange(peer);
    quietExchange(peer);
  });

  test('without an answer in time the next three exchanges are acknowledged at once', () => {
    const peer = waiting();
    const { guest, host } = peer;
    peer.advance(ACK_DELAY);
    guest.expects({ ...BARE, ack: NEXT + 1 });
    host.gives('late');
    guest.expects({ text: 'late' });
    for (let i = 0; i < EXCHANGES; i++) exchange(peer);
    quietExchange(peer);
  });
});

describe('a guest that asks in two segments, the second when the first is acknowledged (Nagle)', () => {
  test('loses 5 ms once, and not again', () => {
    const peer = conversation();
    const { guest, host, clock } = peer;
    let lost = 0;
    for (let i = 0; i < 20; i++) {
      guest.sends({ data: 'first' });
      for (; peer.wire.segments.length === 0 && lost <= ACK_DELAY; lost++) clock.advance(1);
      guest.expects(BARE);
      guest.sends({ data: 'second' });
      guest.expects(BARE);
      host.gives('answer');
      guest.expects({ text: 'answer' });
      guest.expectsNothing();
    }
    expect(lost).toBe(ACK_DELAY);
  });

  test('loses nothing where it always did so', () => {
    const peer = established();
    const { guest, host } = peer;
    for (let i = 0; i < 20; i++) {
      for (const data of ['first', 'second']) {
        guest.sends({ data });
        guest.expects(BARE);
      }
      host.gives('answer');
      guest.expects({ text: 'answer' });
    }
  });
});

describe('RFC 5681 4.2: acknowledged at once in a conversation too', () => {
  test.each([
    [1460, false],
    [1448, true],
  ])('a full segment: %i bytes, timestamps %s', (full, timestamps) => {
    const peer = conversation({ timestamps });
    peer.guest.sends({ data: pattern(full) });
    peer.guest.expects({ ...BARE, ack: NEXT + full });
    staysQuiet(peer, ACK_DELAY);
  });

  test('a full segment of which the window has cut the end', () => {
    const { guest } = conversation({ flowBytes: 4096, windShift: -1 });
    for (const ack of [NEXT + 1460, NEXT + 2920, 4097]) {
      guest.sends({ data: pattern(1460) });
      guest.expects({ ...BARE, ack });
    }
  });

  test.each([false, true])(
    'a segment ahead of its turn, and the one that fills the gap; SACK %s',
    (sackPermitted) => {
      const peer = conversation({ sackPermitted });
      const { guest, host } = peer;
      guest.sends({ seq: NEXT + 1, data: 'b' });
      guest.expects({ ...BARE, ack: NEXT });
      guest.sends({ seq: NEXT, data: 'a' });
      guest.expects({ ...BARE, ack: NEXT + 2 });
      staysQuiet(peer, ACK_DELAY);
      expect(host.takes()).toBe('qqqab');
    },
  );

  test('one that fills a part of a gap', () => {
    const peer = conversation();
    const { guest } = peer;
    guest.sends({ seq: NEXT + 2, data: 'c' });
    guest.expects({ ...BARE, ack: NEXT });
    guest.sends({ seq: NEXT, data: 'a' });
    guest.expects({ ...BARE, ack: NEXT + 1 });
    staysQuiet(peer, ACK_DELAY);
  });

  test('a segment ahead of its turn, with the one whose ACK waits: the second ACK is a duplicate, as it is to be', () => {
    const apart = waiting();
    apart.guest.sends({ seq: NEXT + 2, data: 's' });
    const together = conversation();
    together.guest.sendsTogether({ data: 'q' }, { seq: NEXT + 2, data: 's' });
    for (const peer of [apart, together]) {
      for (let i = 0; i < 2; i++) peer.guest.expects({ ...BARE, ack: NEXT + 1 });
      staysQuiet(peer, ACK_DELAY);
    }
  });

  test('what has come before, wholly or in part', () => {
    for (const seq of [NEXT - 1, NEXT - 2]) {
      const peer = conversation();
      const { guest } = peer;
      expect(guest.sends({ seq, data: 'q' })).toBe(Drop.TcpNotAcceptable);
      guest.expects({ ...BARE, ack: NEXT });
      guest.sends({ seq, data: 'qqqq' });
      guest.expects({ ...BARE, ack: seq + 4 });
      staysQuiet(peer, ACK_DELAY);
    }
  });

  test('the question again, while its ACK waits', () => {
    const peer = waiting();
    expect(peer.guest.sends({ seq: NEXT, data: 'q' })).toBe(Drop.TcpNotAcceptable);
    peer.guest.expects({ ...BARE, ack: NEXT + 1 });
    staysQuiet(peer, ACK_DELAY);
  });

  test('what is no segment of this connection now: RFC 9293 3.10.7.4 first, RFC 5961', () => {
    for (const odd of [{ flags: 'S', seq: 0 }, { seq: -50 }, { ack: 100 }, { flags: 'R', seq: NEXT + 9 }]) {
      const peer = waiting();
      peer.guest.sends(odd);
      peer.guest.expects({ ...BARE, ack: NEXT + 1 });
      staysQuiet(peer, ACK_DELAY);
      expect(peer.state).toBe('ESTABLISHED');
    }
  });
});

describe('RFC 9293 3.10.7.4 eighth: a FIN is acknowledged at once', () => {
  test('with text, and alone while an ACK waits', () => {
    for (const together of [true, false]) {
      const peer = conversation();
      const { guest } = peer;
      guest.sends({ data: 'q', flags: together ? 'FA' : 'A' });
      if (!together) {
        guest.expectsNothing();
        guest.sends({ flags: 'FA' });
      }
      guest.expects({ ...BARE, ack: NEXT + 2 });
      staysQuiet(peer, ACK_DELAY);
      expect(peer.state).toBe('CLOSE-WAIT');
    }
  });

  test('one that was ahead of its turn, when the text before it has come', () => {
    const peer = conversation();
    const { guest, host } = peer;
    guest.sends({ seq: NEXT + 1, flags: 'FA' });
    guest.expects({ ...BARE, ack: NEXT });
    guest.sends({ seq: NEXT, data: 'q' });
    guest.expects({ ...BARE, ack: NEXT + 2 });
    expect([peer.state, host.heard.at(-1)]).toEqual(['CLOSE-WAIT', 'fin']);
    staysQuiet(peer, ACK_DELAY);
  });

  test('text before it, while more is missing', () => {
    const peer = conversation();
    const { guest } = peer;
    guest.sends({ seq: NEXT + 2, flags: 'FA' });
    guest.expects({ ...BARE, ack: NEXT });
    guest.sends({ seq: NEXT, data: 'q' });
    guest.expects({ ...BARE, ack: NEXT + 1 });
    staysQuiet(peer, ACK_DELAY);
  });

  test('and what comes behind it, in CLOSE-WAIT', () => {
    const peer = conversation();
    const { guest } = peer;
    guest.sends({ flags: 'FA' });
    guest.expects({ ...BARE, ack: NEXT + 1 });
    expect(guest.sends({ data: 'x' })).toBe(Drop.TcpNotAcceptable);
    guest.expects({ ...BARE, ack: NEXT + 1 });
    staysQuiet(peer, ACK_DELAY);
  });
});

describe('where the host has closed', () => {
  test('text is acknowledged at once, in FIN-WAIT-1 as in FIN-WAIT-2', () => {
    for (const [ack, state] of [
      [NEXT, 'FIN-WAIT-1'],
      [NEXT + 1, 'FIN-WAIT-2'],
    ] as const) {
      const peer = conversation();
      const { guest, host } = peer;
      host.closes();
      guest.expects({ flags: 'FA', seq: NEXT });
      for (let i = 1; i < 4; i++) {
        guest.sends({ data: 'q', ack });
        guest.expects({ ...BARE, ack: NEXT + i });
      }
      expect(peer.state).toBe(state);
      staysQuiet(peer, ACK_DELAY);
    }
  });

  test('its FIN carries the ACK that waits', () => {
    const peer = waiting();
    peer.host.closes();
    peer.guest.expects({ flags: 'FA', seq: NEXT, ack: NEXT + 1 });
    staysQuiet(peer, ACK_DELAY);
  });
});

describe('while an ACK waits', () => {
  test('RFC 9293 3.8.6.2.2: a window update is not held back, and acknowledges', () => {
    const peer = established({ flowBytes: 4096, windShift: -1 });
    const { guest, host } = peer;
    guest.sends({ data: pattern(1460) });
    guest.sends({ data: pattern(1460) });
    guest.takesAll();
    host.gives('a');
    guest.takesAll();
    for (let i = 0; i < EXCHANGES; i++) exchange(peer);
    guest.sends({ data: 'q' });
    guest.expectsNothing();
    host.takes();
    guest.expects({ ...BARE, ack: 2921 + EXCHANGES + 1, wnd: 4096 });
    staysQuiet(peer, ACK_DELAY);
  });

  test('what is sent again carries it too', () => {
    const peer = conversation();
    const { guest, host, clock } = peer;
    host.gives('lost');
    guest.takesAll();
    const { rtoAt } = peer.tcb;
    clock.advance(rtoAt - clock.now() - 2);
    guest.sends({ data: 'q', ack: NEXT });
    guest.expectsNothing();
    clock.advance(2);
    guest.expects({ text: 'lost', seq: NEXT, ack: NEXT + 1 });
    staysQuiet(peer, ACK_DELAY);
  });

  test('a closed window keeps the answer back: the ACK goes after 5 ms', () => {
    const peer = conversation();
    const { guest, host } = peer;
    guest.sends({ data: 'q', wnd: 0 });
    host.gives('a');
    staysQuiet(peer, ACK_DELAY - 1);
    peer.advance(1);
    guest.expects({ ...BARE, ack: NEXT + 1 });
    guest.expectsNothing();
  });

  test('a reset of the guest, an abort and a quiet end of ours leave no timer', () => {
    const ends: ((peer: TcpPeer) => void)[] = [
      ({ guest }) => guest.sends({ flags: 'R' }),
      ({ host }) => host.aborts(),
      (peer) => peer.run(() => discard(peer.tcb)),
    ];
    for (const end of ends) {
      const peer = waiting();
      end(peer);
      expect([peer.state, peer.timers.armed, peer.tcb.ackAt]).toEqual(['CLOSED', 0, NEVER]);
      peer.guest.takesAll();
      staysQuiet(peer, 10_000);
    }
  });

  test('and neither does the usual end', () => {
    const peer = waiting();
    const { guest, host } = peer;
    host.closes();
    guest.expects({ flags: 'FA' });
    guest.sends({ flags: 'FA' });
    guest.expects(BARE);
    expect(peer.state).toBe('TIME-WAIT');
    peer.advance(10_000);
    expect([host.reason, peer.timers.armed]).toEqual(['normal', 0]);
    guest.expectsNothing();
  });
});

describe('a link without room', () => {
  test('when the 5 ms are over: the ACK goes when there is room, once', () => {
    const peer = waiting();
    const { guest, host, wire, timers } = peer;
    wire.room = 0;
    peer.advance(ACK_DELAY);
    expect(peer.tcb.linkBlocked).toBe(true);
    staysQuiet(peer, 100);
    host.linkIsWritable();
    guest.expects({ ...BARE, ack: NEXT + 1 });
    staysQuiet(peer, 100);
    peer.host.takes();
    peer.advance(2000);
    // Nothing but the keep-alive.
    expect([peer.tcb.timer.at, timers.armed]).toEqual([peer.tcb.keepaliveAt, 1]);
  });

  test('for the answer: it is the ACK when there is room, also when the 5 ms are over', () => {
    for (const wait of [ACK_DELAY - 1, ACK_DELAY + 1]) {
      const peer = waiting();
      peer.wire.room = 0;
      peer.host.gives('a');
      staysQuiet(peer, wait);
      peer.host.linkIsWritable();
      peer.guest.expects({ text: 'a', ack: NEXT + 1 });
      staysQuiet(peer, ACK_DELAY);
    }
  });

  test('for an ACK that was due at once: what comes then does not put it off', () => {
    const peer = conversation();
    const { guest, host, wire } = peer;
    wire.room = 0;
    guest.sends({ seq: NEXT - 1, data: 'q' });
    guest.sends({ data: 'q' });
    host.linkIsWritable();
    guest.expects({ ...BARE, ack: NEXT + 1 });
    staysQuiet(peer, ACK_DELAY);
  });

  test('RFC 9293 3.8.4: a keep-alive that waited for room is no ACK of a question, its number is an old one', () => {
    const peer = conversation();
    const { guest, host, wire } = peer;
    wire.room = 0;
    peer.advance(7_200_000);
    guest.sends({ data: 'q' });
    host.linkIsWritable();
    peer.advance(ACK_DELAY);
    const acks = guest.takesAll().filter(({ seq, ack }) => seq === NEXT && ack === NEXT + 1);
    expect(acks).toHaveLength(1);
  });
});

describe('RFC 7323 4.3: while an ACK waits, Last.ACK.sent stands', () => {
  const echoOf = ({ options }: HostSegment) => options.ts![1];

  /** The first of the segments that an ACK answers is echoed: so the delay is part of the round trip. */
  function asked(): TcpPeer {
    const peer = conversation({ timestamps: true });
    peer.guest.sends({ data: 'q', options: { ts: [2000, 77] } });
    peer.guest.expectsNothing();
    expect([peer.tcb.tsRecent, (peer.tcb.lastAckSent - peer.tcb.irs) | 0]).toEqual([2000, NEXT]);
    return peer;
  }

  test('the answer, or the ACK after 5 ms, echoes the question', () => {
    const answered = asked();
    answered.host.gives('a');
    expect(echoOf(answered.guest.expects({ text: 'a' }))).toBe(2000);
    const late = asked();
    late.advance(ACK_DELAY);
    expect(echoOf(late.guest.expects(BARE))).toBe(2000);
    expect((late.tcb.lastAckSent - late.tcb.irs) | 0).toBe(NEXT + 1);
  });

  test('a second segment is not echoed, nor a bare ACK that comes behind the question', () => {
    const second = asked();
    second.guest.sends({ data: 'r', options: { ts: [2003, 77] } });
    expect(echoOf(second.guest.expects({ ...BARE, ack: NEXT + 2 }))).toBe(2000);
    const bare = asked();
    bare.guest.sends({ options: { ts: [2003, 77] } });
    bare.guest.expectsNothing();
    bare.host.gives('a');
    expect(echoOf(bare.guest.expects({ text: 'a' }))).toBe(2000);
  });

  test('the next question is, once the answer has gone out', () => {
    const peer = asked();
    peer.host.gives('a');
    peer.guest.expects({ text: 'a' });
    peer.guest.sends({ data: 'q', options: { ts: [2007, 77] } });
    peer.host.gives('a');
    expect(echoOf(peer.guest.expects({ text: 'a' }))).toBe(2007);
  });
});
