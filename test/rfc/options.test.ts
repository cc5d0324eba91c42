import { describe, expect, test } from 'vitest';
import { established, establishedActively, TcpPeer } from '../support/tcp-peer.ts';

describe('options of the handshake', () => {
  test('RFC 7323 1.3, RFC 2018 2: a SYN-ACK offers what the SYN did', () => {
    const { guest, host } = new TcpPeer({ timestamps: true, sackPermitted: true });
    guest.sendsSyn();
    host.accepts();
    const { options } = guest.expects({ flags: 'SA' });
    expect(options).toEqual({ mss: 1460, sackPermitted: true, ts: [77, 1000], windShift: 5 });
  });

  test('RFC 7323 2.2: window scale is answered where our own shift is 0, or the guest would not scale', () => {
    const { guest, host, tcb } = new TcpPeer({ flowBytes: 4096, windShift: 7 });
    guest.sendsSyn();
    host.accepts();
    expect(guest.expects({ flags: 'SA', wnd: 4096 }).options.windShift).toBe(0);
    guest.sends({ wnd: 100 });
    expect(tcb.sndWnd).toBe(12_800);
  });

  test('RFC 9293 3.7.1: a SYN without options is answered with the MSS alone, and 536 is assumed', () => {
    const { guest, host, tcb } = new TcpPeer({ mss: 0, windShift: -1 });
    guest.sendsSyn();
    host.accepts();
    expect(guest.expects({ flags: 'SA' }).options).toEqual({ mss: 1460 });
    guest.sends({});
    expect(tcb.sendMss).toBe(536);
    host.gives('x'.repeat(600));
    guest.expects({ len: 536, options: {} });
    guest.expects({ len: 64 });
  });

  test('an active open offers everything', () => {
    const { guest, host } = new TcpPeer();
    host.connects();
    const { options } = guest.expects({ flags: 'S' });
    expect(options).toEqual({ mss: 1460, sackPermitted: true, ts: [77, 0], windShift: 5 });
  });

  test('RFC 7323 2.2, 3.2: what the SYN-ACK does not confirm is not used', () => {
    const { guest, host, tcb } = establishedActively({ windShift: -1 });
    expect([tcb.sndWindShift, tcb.rcvWindShift, tcb.timestamps, tcb.sackPermitted]).toEqual([
      0,
      0,
      false,
      false,
    ]);
    host.gives('x');
    expect(guest.expects({ len: 1 }).options).toEqual({});
  });

  test('RFC 7323 2.2: the window of a SYN-ACK is not scaled, neither alone nor where SYNs cross', () => {
    expect(establishedActively({ windShift: 7, wnd: 3000 }).tcb.sndWnd).toBe(3000);
    const { guest, host, tcb } = new TcpPeer({ windShift: 7, wnd: 3000 });
    host.connects();
    guest.sendsSyn();
    guest.sends({ seq: 0, flags: 'SA', ack: 1 });
    expect(tcb.sndWnd).toBe(3000);
    guest.takesAll();
    guest.sends({});
    expect(tcb.sndWnd).toBe(3000 << 7);
  });

  test('RFC 7323 2.3: a shift count over 14 is taken as 14', () => {
    const { tcb } = established({ windShift: 200, wnd: 1000 });
    expect(tcb.sndWnd).toBe(1000 << 14);
  });

  test('RFC 9293 3.7.1: the MSS of a SYN is honoured, clamped to our own link', () => {
    expect(established({ mss: 1000 }).tcb.sendMss).toBe(1000);
    expect(established({ mss: 9000 }).tcb.sendMss).toBe(1460);
    expect(established({ mss: 65495, mtu: 65521 }).tcb.sendMss).toBe(65481);
    expect(established({ mss: 1 }).tcb.sendMss).toBe(48);
  });

  test('RFC 6691: our options come off the segment, not off the MSS that was said', () => {
    const { guest, host } = established({ mss: 1000, timestamps: true });
    host.gives('x'.repeat(2000));
    guest.expects({ len: 988 });
    guest.expects({ len: 988 });
    guest.expects({ len: 24 });
  });

  test('RFC 9293 3.2 (MUST-7): options with impossible lengths are passed over', () => {
    const odd = [
      [2, 0],
      [2, 3, 5],
      [3, 200, 7],
      [8, 10, 0, 0],
      [5, 9, 0, 0, 0, 0, 0, 0, 0],
      [253, 4, 1, 2, 2, 4, 5, 180],
    ];
    for (const raw of odd) {
      const { guest, host, tcb } = new TcpPeer();
      guest.sends({ seq: 0, flags: 'S', options: { raw } });
      host.accepts();
      guest.expects({ flags: 'SA', ack: 1 });
      guest.sends({ options: { raw } });
      expect(tcb.state).toBe('ESTABLISHED');
      expect(tcb.sendMss).toBe(raw[0] === 253 ? 1460 : 536);
    }
  });

  test('RFC 9293 3.7.1: an MSS in a segment that is not a SYN is ignored', () => {
    const { guest, tcb } = established();
    guest.sends({ data: 'x', options: { mss: 100, windShift: 3 } });
    expect([tcb.sendMss, tcb.sndWindShift]).toEqual([1460, 7]);
  });
});

describe('RFC 7323 timestamps', () => {
  test('3.2: every segment carries one, and echoes the last in order', () => {
    const { guest, host, clock } = established({ timestamps: true });
    clock.advance(50);
    guest.sends({ data: 'a', options: { ts: [2000, 77] } });
    guest.expects({ options: { ts: [127, 2000] } });
    host.gives('b');
    guest.expects({ options: { ts: [127, 2000] }, text: 'b' });
  });

  test('4.3: text that comes with the ACK of the SYN-ACK is echoed', () => {
    const { guest, host } = new TcpPeer({ timestamps: true });
    guest.sendsSyn();
    host.accepts();
    guest.expects({ flags: 'SA' });
    guest.sends({ data: 'a', options: { ts: [1500, 77] } });
    guest.expects({ ack: 2, options: { ts: [77, 1500] } });
  });

  test('4.3: of several segments behind one ACK the first is echoed', () => {
    const { guest } = established({ timestamps: true });
    guest.sendsTogether(
      { data: 'a', options: { ts: [2000, 77] } },
      { data: 'b', options: { ts: [2001, 77] } },
    );
    guest.expects({ ack: 3, options: { ts: [77, 2000] } });
  });

  test('4.3: a segment ahead of a gap is not echoed', () => {
    const { guest } = established({ timestamps: true });
    guest.sends({ data: 'a', options: { ts: [2000, 77] } });
    guest.expects({ ack: 2 });
    guest.sends({ seq: 10, data: 'c', options: { ts: [2001, 77] } });
    guest.expects({ ack: 2, options: { ts: [77, 2000] } });
  });

  test('5.3 PAWS: an older timestamp is answered with an ACK and dropped', () => {
    const { guest, host } = established({ timestamps: true });
    guest.sends({ data: 'a', options: { ts: [2000, 77] } });
    guest.expects({ ack: 2 });
    guest.sends({ data: 'b', options: { ts: [1999, 77] } });
    guest.expects({ ack: 2 });
    expect(host.takes()).toBe('a');
    guest.sends({ seq: 2, data: 'b', options: { ts: [2000, 77] } });
    guest.expects({ ack: 3 });
  });

  test('5.5: after 24 days without a word any timestamp is good', () => {
    const { guest, host, tcb, clock } = established({ timestamps: true });
    guest.sends({ data: 'a', options: { ts: [2000, 77] } });
    guest.expects({ ack: 2 });
    host.takes();
    // The guest answers keep-alives now and then with the same old number.
    for (let day = 0; day < 25; day++) {
      for (let hour = 0; hour < 12; hour++) {
        clock.advance(7_200_000);
        for (const _ of guest.takesAll()) guest.sends({ options: { ts: [1000, 77] } });
        guest.takesAll();
      }
      if (day !== 22) continue;
      guest.sends({ data: 'b', options: { ts: [1000, 77] } });
      guest.expects({ ack: 2 });
      guest.seq--;
    }
    expect(tcb.state).toBe('ESTABLISHED');
    guest.sends({ data: 'b', options: { ts: [1000, 77] } });
    guest.expects({ ack: 3 });
  });

  test('5.2: a reset with an old timestamp is a reset', () => {
    const { guest, host } = established({ timestamps: true });
    guest.sends({ data: 'a', options: { ts: [2000, 77] } });
    guest.sends({ flags: 'R', options: { ts: [1, 77] } });
    expect(host.reason).toBe('peer-reset');
  });

  test('3.2: a segment without the option is dropped without a word, a reset is not', () => {
    const { guest, host } = established({ timestamps: true });
    guest.sends({ data: 'a', options: { ts: null } });
    guest.expectsNothing();
    expect(host.takes()).toBe('');
    guest.sends({ seq: 1, flags: 'R', options: { ts: null } });
    expect(host.reason).toBe('peer-reset');
  });

  test('4.1: the echo measures the round trip', () => {
    const { guest, host, tcb, clock } = established({ timestamps: true });
    host.gives('x');
    guest.expects({ text: 'x' });
    clock.advance(40);
    guest.sends({});
    expect(tcb.rtt.srtt).toBeGreaterThan(4);
    expect(tcb.rtt.srtt).toBeLessThanOrEqual(40);
  });

  test('4.1: after a lost ACK the echo of the first sending is not measured, the echo of the second is', () => {
    const { guest, host, tcb, clock } = established({ timestamps: true });
    const { srtt } = tcb.rtt;
    for (const lostAck of [true, false]) {
      host.gives('x');
      const first = guest.expects({ text: 'x' }).options.ts![0];
      clock.advance(tcb.rtt.rto);
      const second = guest.expects({ text: 'x' }).options.ts![0];
      clock.advance(tcb.rtt.rto - 1);
      const timed = lostAck ? first : second;
      guest.sends({ options: { ts: [9000, timed] } });
      expect(tcb.sendRing.length).toBe(0);
      if (lostAck) expect(tcb.rtt.srtt).toBe(srtt);
      else expect(tcb.rtt.srtt).toBeGreaterThan(srtt);
    }
  });

  test('an echo from the future or long ago is not measured', () => {
    const { guest, host, tcb } = established({ timestamps: true });
    const before = tcb.rtt.srtt;
    host.gives('x');
    guest.expects({ text: 'x' });
    guest.sends({ options: { ts: [3000, 0x70000000] } });
    expect(tcb.rtt.srtt).toBe(before);
    expect(tcb.sendRing.length).toBe(0);
  });
});

test('RFC 7323 4.1: no round trip is longer than since what is acknowledged was sent, whatever the echo', () => {
  for (const ecr of [(now: number) => now - 300_000, () => 0, () => -1000]) {
    const { guest, host, tcb, clock } = established({ timestamps: true });
    clock.advance(400_000);
    host.gives('x');
    guest.expects({ text: 'x' });
    clock.advance(40);
    guest.sends({ options: { ts: [3000, ecr(clock.now() + 77)] } });
    expect(tcb.sendRing.length).toBe(0);
    expect(tcb.rtt.srtt).toBeLessThanOrEqual(40);
    expect(tcb.rtt.rto).toBe(200);
  }
});

test('RFC 7323 5.3 R1: old segments without text are not answered without end', () => {
  const { guest, clock } = established({ timestamps: true });
  clock.advance(1);
  let answers = 0;
  for (let i = 0; i < 100; i++) {
    guest.sends({ options: { ts: [1, 1] } });
    answers += guest.takesAll().length;
  }
  expect(answers).toBeGreaterThan(0);
  expect(answers).toBeLessThanOrEqual(10);
  // With text they may be the retransmission of what has come: its sender needs to know.
  guest.sends({ seq: 0, data: 'x', options: { ts: [1, 1] } });
  expect(guest.takesAll().length).toBe(1);
});
