import { describe, expect, test } from 'vitest';
import { Rtt } from '../../src/tcp/rtt.ts';
import { pattern, textOf } from '../support/segment-bytes.ts';
import { established, TcpPeer } from '../support/tcp-peer.ts';

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

  test('RFC 6298 4: the variance term is no less than a tick of the clock', () => {
    const rtt = new Rtt();
    for (let i = 0; i < 300; i++) rtt.sample(1500);
    expect(rtt.rto).toBe(1501);
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
