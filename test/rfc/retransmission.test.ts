import { describe, expect, test } from 'vitest';
import { Rtt } from '../../src/tcp/rtt.ts';
import { pattern, textOf } from '../support/segment-bytes.ts';
import { sacks, tenOut } from '../support/segments-out.ts';
import { established, type PeerOptions, TcpPeer } from '../support/tcp-peer.ts';

/** A connection with ten full segments in flight. */
function tenInFlight(): TcpPeer {
  const peer = established();
  peer.host.gives(pattern(30 * 1460));
  expect(peer.guest.takesAll().map((sent) => sent.seq)).toEqual(
    Array.from({ length: 10 }, (_, i) => 1 + 1460 * i),
  );
  return peer;
}

describe('RFC 6298: the retransmission timer', () => {
  test('5.4 to 5.6: the earliest segment again, and twice the time each time', () => {
    const { guest, host, clock, tcb } = established();
    host.gives('hello');
    guest.expects({ text: 'hello' });
    let wait = tcb.rtt.rto;
    for (let i = 0; i < 10; i++) {
      clock.advance(wait - 1);
      guest.expectsNothing();
      clock.advance(1);
      guest.expects({ seq: 1, text: 'hello' });
      guest.expectsNothing();
      wait = Math.min(2 * wait, 60_000);
    }
  });

  test('RFC 9293 3.8.3 (MUST-20, SHLD-11): after 100 s and more the connection is given up, with a reset', () => {
    const { guest, host, clock, timers } = established();
    host.gives('hello');
    clock.advance(100_000);
    expect(host.reason).toBe(null);
    clock.advance(400_000);
    expect(host.reason).toBe('timed-out');
    expect(guest.takesAll().at(-1)).toMatchObject({ flags: 'RA', seq: 6 });
    expect(timers.armed).toBe(0);
  });

  test('5.2, 5.3: an ACK of new data starts it anew, the last one stops it', () => {
    const { guest, host, clock, tcb } = established();
    host.gives('x'.repeat(2920));
    guest.takesAll();
    clock.advance(tcb.rtt.rto - 1);
    guest.sends({ ack: 1461 });
    const { rto } = tcb.rtt;
    clock.advance(rto - 1);
    guest.expectsNothing();
    clock.advance(1);
    guest.expects({ seq: 1461 });
    guest.sends({ ack: 2921 });
    clock.advance(100_000);
    guest.expectsNothing();
  });

  test("Karn's rule: a segment that was sent twice is not measured", () => {
    // One segment, and two of which one was sent twice: an ACK of both measures neither.
    for (const bytes of [5, 2 * 1460]) {
      const { guest, host, clock, tcb } = new TcpPeer();
      guest.sendsSyn();
      host.accepts();
      guest.takesAll();
      clock.advance(80);
      guest.sends({});
      const { srtt, rto } = tcb.rtt;
      expect(srtt).toBe(80);
      host.gives(pattern(bytes));
      clock.advance(rto);
      guest.takesAll();
      clock.advance(1);
      guest.sends({});
      expect(tcb.sendRing.length).toBe(0);
      // RFC 6298 5.7: and the timeout stays backed off until there is a sample.
      expect([tcb.rtt.srtt, tcb.rtt.rto]).toEqual([80, 2 * rto]);
    }
  });

  test('2.3, 4: the variance term is no less than 50 ms, many ticks of the clock', () => {
    const rtt = new Rtt();
    for (let i = 0; i < 300; i++) rtt.sample(1500);
    expect(rtt.rto).toBe(1550);
  });

  test('2.2, 2.3: round trips make the RTO, never under 200 ms', () => {
    const { guest, host, clock, tcb } = established();
    for (let i = 0; i < 30; i++) {
      host.gives('x');
      guest.takesAll();
      clock.advance(300);
      guest.sends({});
    }
    expect(tcb.rtt.srtt).toBeGreaterThan(280);
    expect(tcb.rtt.rto).toBeGreaterThan(300);
    expect(tcb.rtt.rto).toBeLessThan(500);
    for (let i = 0; i < 100; i++) {
      host.gives('x');
      guest.takesAll();
      guest.sends({});
    }
    expect(tcb.rtt.rto).toBe(200);
  });

  test.each([true, false])('the handshake is the first sample; timestamps: %s', (timestamps) => {
    const { guest, host, tcb, clock } = new TcpPeer({ timestamps });
    guest.sendsSyn();
    host.accepts();
    guest.takesAll();
    clock.advance(80);
    guest.sends({});
    expect(tcb.rtt.srtt).toBe(80);
    expect(tcb.rtt.rto).toBe(240);
  });

  test('5.7, RFC 5681 3.1: when the SYN-ACK had to be sent twice, 3 s and one segment', () => {
    const { guest, host, tcb, clock } = new TcpPeer();
    guest.sendsSyn();
    host.accepts();
    clock.advance(1000);
    expect(guest.takesAll().length).toBe(2);
    guest.sends({});
    expect(tcb.rtt.rto).toBe(3000);
    host.gives(pattern(10_000));
    expect(guest.takesAll().length).toBe(1);
  });

  test('RFC 5681 3.1: after a timeout one segment, then slow start from there', () => {
    const { guest, clock, tcb } = tenInFlight();
    clock.advance(tcb.rtt.rto);
    expect(guest.takesAll().map((sent) => sent.seq)).toEqual([1]);
    expect(tcb.congestion.cwnd).toBe(1460);
    expect(tcb.congestion.ssthresh).toBe(5 * 1460);
    guest.sends({ ack: 1461 });
    expect(guest.takesAll().map((sent) => sent.seq)).toEqual([1461, 2921]);
    // The guest had the rest: its ACK takes us past what we meant to send again.
    guest.sends({ ack: 14_601 });
    expect(guest.takesAll()[0]!.seq).toBe(14_601);
  });
});

describe('RFC 5681 3.1 (4): what was outstanding as the timer fired, without SACK', () => {
  /** Forty full segments are out. */
  function fortyOut(): TcpPeer {
    const peer = established();
    peer.tcb.congestion.cwnd = 40 * 1460;
    peer.host.gives(pattern(60 * 1460));
    expect(peer.guest.takesAll().length).toBe(40);
    return peer;
  }

  function timeout({ clock, tcb, counters, guest }: TcpPeer): number {
    const before = counters.timeouts;
    clock.advance(tcb.rtt.rto);
    expect(counters.timeouts).toBe(before + 1);
    guest.takesAll();
    return tcb.congestion.ssthresh / 1460;
  }

  test('is what was sent since the timeout before, not all that was out then', () => {
    const peer = fortyOut();
    expect(timeout(peer)).toBe(20);
    for (let i = 1; i <= 7; i++) peer.guest.sends({ ack: 1 + 1460 * i });
    expect(peer.tcb.congestion.cwnd).toBe(8 * 1460);
    expect(timeout(peer)).toBe(4);
  });

  test('is the window that a recovery was to come to', () => {
    const peer = fortyOut();
    for (let i = 0; i < 3; i++) peer.guest.sends({ ack: 1 });
    peer.guest.takesAll();
    expect(peer.tcb.recovery.phase).toBe('recovery');
    expect(timeout(peer)).toBe(10);
  });

  test('with it, all that was out: what has arrived is known', () => {
    const peer = tenOut();
    peer.clock.advance(100);
    sacks(peer, 0, [1, 4]);
    peer.clock.advance(peer.tcb.rtt.rto);
    expect(peer.counters.timeouts).toBe(1);
    expect(peer.tcb.congestion.ssthresh).toBeGreaterThanOrEqual(5 * 1460);
  });
});

describe('RFC 9293 3.8.1, RFC 1122 4.2.2.15: small segments that are sent again go together', () => {
  const SMALL = 20;

  /** A hundred messages of 20 bytes, each in a segment of its own. Message `i` begins at 1 + 20 i. */
  function hundredOut(options: PeerOptions = {}): TcpPeer {
    const peer = established(options);
    for (let i = 0; i < 100; i++) peer.host.gives(pattern(SMALL));
    expect(peer.guest.takesAll().map(({ len }) => len)).toEqual(new Array(100).fill(SMALL));
    return peer;
  }

  /** SACKs messages [from, to) of each range; the first may be a D-SACK. */
  function reports(peer: TcpPeer, next: number, ...ranges: readonly (readonly [number, number])[]): void {
    const edge = (i: number) => (peer.tcb.iss + 1 + SMALL * i) | 0;
    const sack = ranges.map(([from, to]) => [edge(from), edge(to)] as const);
    peer.guest.sends({ ack: 1 + SMALL * next, options: { sack } });
  }

  test.each([false, true])(
    'after a timeout one full segment, and then the rest; SACK: %s',
    (sackPermitted) => {
      const { guest, clock, tcb, counters } = hundredOut({ sackPermitted });
      while (counters.timeouts === 0) clock.advanceTo(tcb.rtoAt);
      expect(guest.takesAll().at(-1)).toMatchObject({ seq: 1, len: 1460 });
      guest.sends({ ack: 1461 });
      guest.expects({ seq: 1461, len: 100 * SMALL - 1460, push: true });
      guest.expectsNothing();
      guest.sends({ ack: 1 + 100 * SMALL });
      expect([tcb.recovery.log.count, tcb.recovery.phase]).toEqual([0, 'open']);
    },
  );

  test('RFC 6582 3.2 step 3: without SACK a partial ACK, which says that more was lost than one, sends a full segment', () => {
    const { guest, counters } = hundredOut();
    for (let i = 0; i < 3; i++) guest.sends({ ack: 1 });
    guest.expects({ seq: 1, len: SMALL });
    guest.expectsNothing();
    guest.sends({ ack: 1 + SMALL });
    guest.expects({ seq: 1 + SMALL, len: 1460 });
    guest.expectsNothing();
    guest.sends({ ack: 1 + SMALL + 1460 });
    guest.expects({ seq: 1 + SMALL + 1460, len: 99 * SMALL - 1460 });
    expect(counters.retransmits).toBe(3);
  });

  test('but not what has arrived, by SACK, and lies between', () => {
    const peer = hundredOut({ sackPermitted: true });
    reports(peer, 0, [10, 15], [20, 100]);
    expect(peer.guest.takesAll().map(({ seq, len }) => [seq, len])).toEqual([
      [1, 200],
      [1 + 15 * SMALL, 100],
    ]);
    expect(peer.counters.retransmits).toBe(2);
  });

  test('RFC 9293 3.8.6 (SHLD-16, MAY-7): where the window has become narrow, what is in it and what is not go apart', () => {
    const { guest, clock, tcb } = hundredOut({ windShift: -1 });
    guest.sends({ ack: 1, wnd: 105 });
    clock.advance(tcb.rtt.rto);
    guest.expects({ seq: 1, len: 100 });
    guest.expects({ seq: 101, len: 1360 });
    guest.expectsNothing();
  });

  test('RFC 8985 6.2: where the peer has the end of such a segment only, the rest is waited for', () => {
    const peer = hundredOut({ sackPermitted: true });
    while (peer.counters.timeouts === 0) peer.clock.advanceTo(peer.tcb.rtoAt);
    expect(peer.guest.takesAll().at(-1)).toMatchObject({ seq: 1, len: 1460 });
    peer.clock.advance(1);
    reports(peer, 0, [40, 73]);
    expect(peer.guest.takesAll().every(({ seq }) => seq >= 1461)).toBe(true);
    reports(peer, 73);
    expect(peer.tcb.recovery.log.start).toBe((peer.tcb.iss + 1461) | 0);
  });

  test('RFC 3708 3: a D-SACK of a part of it undoes nothing, of all of it the timeout', () => {
    const peer = hundredOut({ sackPermitted: true });
    while (peer.counters.timeouts === 0) peer.clock.advanceTo(peer.tcb.rtoAt);
    const first = peer.guest.takesAll().at(-1)!;
    expect(first).toMatchObject({ seq: 1, len: 1460 });
    reports(peer, 73, [0, 10]);
    expect(peer.counters.undone).toBe(0);
    // What that ACK let out was sent again, too.
    const { len } = peer.guest.expects({ seq: 1461 });
    expect(len).toBe(27 * SMALL);
    reports(peer, 73, [10, 73]);
    expect(peer.counters.undone).toBe(0);
    reports(peer, 100, [73, 100]);
    expect(peer.counters.undone).toBe(1);
  });

  test('a FIN rides with the text before it', () => {
    const { guest, host, clock, tcb } = hundredOut();
    host.closes();
    guest.expects({ flags: 'FA', len: 0 });
    clock.advance(tcb.rtt.rto);
    guest.expects({ seq: 1, len: 1460, flags: 'A' });
    guest.sends({ ack: 1461 });
    guest.expects({ seq: 1461, len: 100 * SMALL - 1460, flags: 'FA' });
    guest.sends({ ack: 2 + 100 * SMALL });
    expect(tcb.state).toBe('FIN-WAIT-2');
  });
});

describe('RFC 5681 3.2, RFC 6582: fast retransmit and recovery', () => {
  test('three duplicate ACKs and the first segment goes out again, once', () => {
    const { guest, tcb, counters } = tenInFlight();
    guest.sends({ ack: 1 });
    guest.sends({ ack: 1 });
    guest.takesAll();
    guest.sends({ ack: 1 });
    guest.expects({ seq: 1, len: 1460 });
    guest.expectsNothing();
    expect(counters.fastRetransmits).toBe(1);
    expect(tcb.congestion.ssthresh).toBe(5 * 1460);
  });

  test('RFC 3042 2: each of the first two duplicates lets a new segment out', () => {
    const { guest, tcb } = tenInFlight();
    for (const seq of [14_601, 16_061]) {
      guest.sends({ ack: 1 });
      guest.expects({ seq, len: 1460 });
      guest.expectsNothing();
    }
    expect(tcb.congestion.cwnd).toBe(14_600);
  });

  test('RFC 9937 6.2: the third sends the first segment again, further ones a new one in proportion', () => {
    const { guest } = tenInFlight();
    const sent = Array.from({ length: 9 }, () => {
      guest.sends({ ack: 1 });
      return guest.takesAll().map(({ seq }) => seq);
    });
    expect(sent.slice(2, 8)).toEqual([[1], [], [], [], [], [17_521]]);
  });

  test('RFC 5681 3.2 step 4: a guest that repeats itself lets out no more than what was out, and half as much', () => {
    const peer = established({ flowBytes: 1 << 20, windShift: 7 });
    peer.host.gives(pattern(1 << 20));
    expect(peer.guest.takesAll().length).toBe(10);
    for (let i = 0; i < 3000; i++) peer.guest.sends({ ack: 1 });
    const { sndUna, sndMax, iss } = peer.tcb;
    expect(sndUna).toBe((iss + 1) | 0);
    expect((sndMax - sndUna) | 0).toBeLessThanOrEqual(25 * 1460);
  });

  test('RFC 6582 3.2 step 3: a partial ACK sends the next hole, a full one ends the recovery', () => {
    const { guest, tcb } = tenInFlight();
    for (let i = 0; i < 3; i++) guest.sends({ ack: 1 });
    expect(guest.takesAll().at(-1)).toMatchObject({ seq: 1, len: 1460 });
    guest.sends({ ack: 1461 });
    expect(guest.takesAll()[0]).toMatchObject({ seq: 1461, len: 1460 });
    guest.sends({ ack: 4381 });
    expect(guest.takesAll()[0]).toMatchObject({ seq: 4381, len: 1460 });
    expect(tcb.recovery.phase).toBe('recovery');
    guest.sends({ ack: 1 + 30 * 1460 - 14_600 });
    guest.takesAll();
    guest.sends({ ack: (tcb.recover - tcb.iss) | 0 });
    expect(tcb.recovery.phase).toBe('open');
    expect(tcb.congestion.cwnd).toBeLessThanOrEqual(tcb.congestion.ssthresh);
  });

  test('3.2 step 3: partial ACKs of what was sent again alone do not put the timeout off for ever', () => {
    // A guest that keeps nothing out of order, and is slow to acknowledge what then comes in order.
    const { guest, clock, tcb, counters } = tenInFlight();
    for (let i = 0; i < 3; i++) guest.sends({ ack: 1 });
    for (let i = 1; i < 9 && counters.timeouts === 0; i++) {
      expect(guest.takesAll().map(({ seq }) => seq)).toContain(1 + 1460 * (i - 1));
      clock.advance(150);
      if (counters.timeouts === 0) guest.sends({ ack: 1 + 1460 * i });
    }
    expect([counters.timeouts, (tcb.sndUna - tcb.iss - 1) / 1460]).toEqual([1, 2]);
  });

  test('but those that show something to have arrived behind the hole do', () => {
    const { guest, clock, counters } = tenInFlight();
    for (let i = 0; i < 3; i++) guest.sends({ ack: 1 });
    for (const next of [2, 4, 6, 8]) {
      clock.advance(150);
      guest.sends({ ack: 1 + 1460 * next });
      expect(guest.takesAll().map(({ seq }) => seq)).toContain(1 + 1460 * next);
    }
    expect(counters.timeouts).toBe(0);
  });

  test('window updates, data and keep-alives are no duplicates', () => {
    const { guest, counters } = tenInFlight();
    for (let i = 1; i < 6; i++) guest.sends({ ack: 1, wnd: 65535 - i });
    for (let i = 0; i < 6; i++) guest.sends({ ack: 1, data: 'x' });
    for (let i = 0; i < 6; i++) guest.sends({ ack: 1, seq: guest.seq - 1 });
    expect(counters.fastRetransmits).toBe(0);
  });

  test('RFC 6582 3.2 step 2: duplicates of what a timeout has sent again start no second recovery', () => {
    const { guest, clock, tcb, counters } = tenInFlight();
    clock.advance(tcb.rtt.rto);
    guest.takesAll();
    for (let i = 0; i < 9; i++) guest.sends({ ack: 1 });
    expect(counters.fastRetransmits).toBe(0);
  });

  test('`recover` stays beside SND.UNA, or two gigabytes later no recovery would begin', () => {
    const { guest, host, tcb } = established();
    for (let i = 0; i < 10; i++) {
      host.gives(pattern(5000));
      guest.takesAll();
      guest.sends({});
    }
    expect((tcb.sndUna - tcb.recover) | 0).toBe(1);
  });

  test('what is retransmitted is what was sent', () => {
    const { guest, tcb, clock } = tenInFlight();
    let got = '';
    for (let turn = 0; got.length < 30 * 1460 && turn < 200; turn++) {
      // Every second segment is lost.
      for (const sent of guest.takesAll().filter((_sent, i) => i % 2 === 1 || turn % 3 === 0)) {
        if (sent.seq <= 1 + got.length) got += sent.text.slice(1 + got.length - sent.seq);
        guest.sends({ ack: 1 + got.length });
      }
      clock.advance(tcb.rtt.rto);
    }
    expect(got === textOf(pattern(30 * 1460))).toBe(true);
  });
});

test('RFC 9293 3.10.7.4: an ACK after a timeout says the highest number that was sent', () => {
  const { guest, tcb, clock, wire } = tenInFlight();
  wire.room = 0;
  clock.advance(tcb.rtt.rto);
  wire.room = 1;
  guest.sends({ ack: 1, data: 'x' });
  // The segment that is sent again takes the room and carries the ACK.
  guest.expects({ seq: 1, len: 1460, ack: 2 });
  guest.sends({ ack: 1, seq: 1, data: 'x' });
  guest.expectsNothing();
  wire.room = 1;
  guest.sends({ ack: 1, seq: 1, data: 'x' });
  guest.expects({ seq: 1 + 14_600, len: 0, ack: 2 });
});

describe('congestion window', () => {
  test('RFC 6928 2: ten segments at first', () => {
    tenInFlight();
  });

  test('RFC 5681 4.1: back to that after a pause', () => {
    const { guest, host, clock, tcb } = established({ windShift: 14 });
    for (let i = 0; i < 8; i++) {
      host.gives(pattern(100_000));
      while (tcb.sendRing.length > 0) {
        guest.takesAll();
        guest.sends({});
      }
    }
    expect(tcb.congestion.cwnd).toBeGreaterThan(100_000);
    clock.advance(60_000);
    host.gives(pattern(100_000));
    expect(guest.takesAll().length).toBe(10);
  });

  test('RFC 5681 4.1: a question in good time after the answer before it is no pause, however steady the round trip', () => {
    const { guest, host, clock, tcb } = established({ windShift: 14 });
    /** An answer that takes some round trips of 150 ms. */
    const answer = (): void => {
      host.gives(pattern(100_000));
      while (tcb.sendRing.length > 0) {
        guest.takesAll();
        clock.advance(150);
        guest.sends({});
      }
    };
    for (let i = 0; i < 30; i++) {
      answer();
      clock.advance(100);
    }
    expect(tcb.rtt.rto).toBeLessThan(250);
    host.gives(pattern(100_000));
    expect(guest.takesAll().length).toBe(Math.ceil(100_000 / 1460));
    clock.advance(150);
    guest.sends({});
    clock.advance(201);
    host.gives(pattern(100_000));
    expect(guest.takesAll().length).toBe(10);
  });

  test('a flow held back by its user does not grow it', () => {
    const { guest, host, tcb } = established();
    const before = tcb.congestion.cwnd;
    for (let i = 0; i < 100; i++) {
      host.gives('x');
      guest.takesAll();
      guest.sends({});
    }
    expect(tcb.congestion.cwnd).toBe(before);
  });
});

test('RFC 6582 3.2 step 2: duplicates of what a timeout has recovered begin no fast retransmit', () => {
  const { guest, host, clock, tcb, counters } = established();
  host.gives(pattern(5 * 1460));
  guest.takesAll();
  clock.advance(tcb.rtt.rto);
  expect(counters.timeouts).toBe(1);
  guest.takesAll();
  const all = 1 + 5 * 1460;
  guest.sends({ ack: all });
  expect(tcb.recovery.phase).toBe('open');
  host.gives(pattern(2 * 1460));
  expect(guest.takesAll().length).toBeGreaterThan(0);
  for (let i = 0; i < 4; i++) guest.sends({ ack: all });
  expect(counters.fastRetransmits).toBe(0);
});

describe('a link without room', () => {
  test('output stops, says so, and goes on where it stopped', () => {
    const { guest, host, tcb, wire } = established();
    wire.room = 3;
    host.gives(pattern(10 * 1460));
    expect(guest.takesAll().length).toBe(3);
    expect(tcb.linkBlocked).toBe(true);
    host.linkIsWritable();
    expect(guest.takesAll().map((sent) => sent.seq)).toEqual(
      Array.from({ length: 7 }, (_, i) => 1 + 1460 * (i + 3)),
    );
    expect(tcb.linkBlocked).toBe(false);
  });

  test('a link that stays full for hours (a guest that was stopped) is no reason to give up', () => {
    const { guest, host, wire, clock } = established();
    host.gives('hello');
    guest.takesAll();
    wire.room = 0;
    clock.advance(3_600_000);
    expect(host.reason).toBe(null);
    host.linkIsWritable();
    clock.advance(60_000);
    expect(guest.takesAll()[0]).toMatchObject({ seq: 1, text: 'hello' });
  });

  // Seed 28734 of the simulation: an ACK that waited for the link put the timeout off, each time.
  test('a link without room does not put the timeout off', () => {
    const { guest, host, wire, clock, tcb, counters } = established({ sackPermitted: true });
    host.gives(pattern(5 * 1460));
    guest.takesAll();
    clock.advance(10);
    // The first is lost, and lost again: there is no window for a third time.
    guest.sends({ ack: 1, options: { sack: [[tcb.iss + 1 + 1460, tcb.iss + 1 + 4 * 1460]] } });
    expect(guest.takesAll().map((sent) => sent.seq)).toEqual([1]);
    tcb.recovery.log.markLost(0);
    tcb.congestion.cwnd = 0;
    const due = tcb.rtoAt;
    clock.advanceTo(due - 1);
    wire.room = 0;
    guest.sends({ ack: 1, data: 'x' });
    expect([tcb.linkBlocked, tcb.rtoAt]).toEqual([true, due]);
    host.linkIsWritable();
    clock.advanceTo(due);
    expect(guest.takesAll().map((sent) => sent.seq)).toContain(1);
    expect(counters.timeouts).toBe(1);
  });

  test('an ACK that found no room is still due', () => {
    const { guest, host, wire } = established();
    wire.room = 0;
    guest.sends({ data: 'x' });
    guest.expectsNothing();
    host.linkIsWritable();
    guest.expects({ ack: 2 });
  });
});
