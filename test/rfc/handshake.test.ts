import { describe, expect, test } from 'vitest';
import { Drop } from '../../src/base/drop.ts';
import { freeRings } from '../../src/tcp/user.ts';
import { established, establishedActively, TcpPeer } from '../support/tcp-peer.ts';

describe('passive open', () => {
  test('RFC 9293 3.5 figure 6: SYN, SYN-ACK, ACK', () => {
    const { guest, host, tcb } = new TcpPeer();
    guest.sendsSyn();
    expect(tcb.state).toBe('SYN-RECEIVED');
    host.accepts();
    guest.expects({ flags: 'SA', seq: 0, ack: 1, len: 0 });
    guest.sends({});
    expect(tcb.state).toBe('ESTABLISHED');
    expect(host.heard).toEqual(['established']);
    guest.expectsNothing();
  });

  test('the SYN-ACK is held until the host has what was asked for, and retransmitted SYNs get no answer', () => {
    const { guest, host, tcb, clock } = new TcpPeer();
    guest.sendsSyn();
    guest.expectsNothing();
    for (const seconds of [1, 2, 4]) {
      clock.advance(seconds * 1000);
      expect(guest.sendsSyn()).toBe(Drop.None);
      guest.expectsNothing();
    }
    expect(tcb.state).toBe('SYN-RECEIVED');
    host.accepts();
    guest.expects({ flags: 'SA', seq: 0, ack: 1 });
    guest.expectsNothing();
  });

  test('a refusal of a held SYN acknowledges it: RST|ACK, and no SYN-ACK before', () => {
    const { guest, host, tcb, timers } = new TcpPeer();
    guest.sendsSyn();
    host.aborts();
    guest.expects({ flags: 'RA', seq: -tcb.iss, ack: 1 });
    guest.expectsNothing();
    expect(tcb.state).toBe('CLOSED');
    expect(timers.armed).toBe(0);
  });

  test('RFC 6298 5.5: the SYN-ACK goes out again after 1, 2, 4 s, and a minute later we give up with a reset', () => {
    const { guest, host, clock } = new TcpPeer();
    guest.sendsSyn();
    host.accepts();
    guest.expects({ flags: 'SA' });
    for (const seconds of [1, 2, 4, 8, 16]) {
      clock.advance(seconds * 1000 - 1);
      guest.expectsNothing();
      clock.advance(1);
      guest.expects({ flags: 'SA', seq: 0, ack: 1 });
    }
    clock.advance(32_000);
    guest.expects({ flags: 'RA', seq: 1, ack: 1 });
    expect(host.reason).toBe('timed-out');
  });

  test('RFC 9293 3.8.1: the SYN again after the SYN-ACK means that the SYN-ACK was lost', () => {
    const { guest, host, clock } = new TcpPeer();
    guest.sendsSyn();
    host.accepts();
    guest.expects({ flags: 'SA' });
    clock.advance(500);
    guest.sendsSyn();
    guest.expects({ flags: 'SA', seq: 0, ack: 1 });
    guest.sends({});
    expect(host.heard).toEqual(['established']);
  });

  test('RFC 9293 3.10.7.4: data may come with the ACK of the SYN-ACK', () => {
    const { guest, host } = new TcpPeer();
    guest.sendsSyn();
    host.accepts();
    guest.expects({ flags: 'SA' });
    guest.sends({ data: 'early' });
    guest.expects({ flags: 'A', seq: 1, ack: 6 });
    expect(host.takes()).toBe('early');
  });

  test('RFC 9293 3.10.7.4: SYN, data and FIN within one turn open and half-close', () => {
    const { guest, host, tcb } = new TcpPeer();
    guest.sendsSyn();
    host.accepts();
    guest.expects({ flags: 'SA' });
    guest.sends({ data: 'all', flags: 'FA' });
    guest.expects({ flags: 'A', ack: 5 });
    expect(host.heard).toEqual(['established', 'fin']);
    expect(tcb.state).toBe('CLOSE-WAIT');
  });
});

describe('RFC 9293 3.5.1, 3.10.7: an old connection that only the guest still knows', () => {
  test('figure 10: its ACK of our SYN is answered with a reset, and the SYN is tried again', () => {
    const { guest, host, tcb, clock } = new TcpPeer();
    host.connects();
    guest.expects({ flags: 'S' });
    guest.sends({ seq: 300, ack: -100 });
    guest.expects({ flags: 'R', seq: -100, len: 0 });
    guest.expectsNothing();
    expect(tcb.state).toBe('SYN-SENT');
    clock.advance(1000);
    guest.expects({ flags: 'S', seq: 0 });
  });

  test('in SYN-RECEIVED an ACK of anything but our SYN is answered with a reset', () => {
    const { guest, host, tcb } = new TcpPeer();
    guest.sendsSyn();
    host.accepts();
    guest.expects({ flags: 'SA' });
    for (const ack of [0, 2, 5000]) {
      guest.sends({ ack });
      guest.expects({ flags: 'R', seq: ack });
    }
    guest.expectsNothing();
    expect(tcb.state).toBe('SYN-RECEIVED');
    guest.sends({ ack: 1 });
    expect(tcb.state).toBe('ESTABLISHED');
  });
});

describe('active open', () => {
  test('RFC 9293 3.5: SYN, SYN-ACK, ACK', () => {
    const { tcb, host } = establishedActively();
    expect(tcb.state).toBe('ESTABLISHED');
    expect(host.heard).toEqual(['established']);
  });

  test('RFC 9293 3.8.3 (MUST-23): a SYN is sent again for three minutes', () => {
    const { guest, host, clock } = new TcpPeer();
    host.connects();
    guest.expects({ flags: 'S', seq: 0, ack: 0 });
    for (const seconds of [1, 2, 4, 8, 16, 32, 60]) {
      clock.advance(seconds * 1000 - 1);
      guest.expectsNothing();
      clock.advance(1);
      guest.expects({ flags: 'S', seq: 0 });
    }
    clock.advance(59_999);
    expect(host.reason).toBe(null);
    clock.advance(1);
    expect(clock.now()).toBeGreaterThanOrEqual(180_000);
    expect(host.reason).toBe('timed-out');
    guest.expectsNothing();
  });

  test('RFC 9293 3.10.7.3: a refusal is a RST with the ACK of our SYN', () => {
    const { guest, host, timers } = new TcpPeer();
    host.connects();
    guest.expects({ flags: 'S' });
    guest.sends({ flags: 'RA', seq: 0, ack: 1 });
    expect(host.heard).toEqual(['closed: peer-reset']);
    expect(timers.armed).toBe(0);
  });

  test('RFC 9293 3.10.7.3: a RST without an ACK, or with a wrong one, changes nothing', () => {
    const { guest, host, tcb } = new TcpPeer();
    host.connects();
    guest.expects({ flags: 'S' });
    guest.sends({ flags: 'R', seq: 0 });
    guest.sends({ flags: 'RA', seq: 0, ack: 0 });
    guest.sends({ flags: 'RA', seq: 0, ack: 2 });
    expect(tcb.state).toBe('SYN-SENT');
    expect(host.heard).toEqual([]);
    guest.expectsNothing();
  });

  test('RFC 9293 3.5 figure 7: both SYNs cross, and SYN-ACKs complete the open', () => {
    const { guest, host, tcb } = new TcpPeer();
    host.connects();
    guest.expects({ flags: 'S', seq: 0 });
    guest.sendsSyn();
    expect(tcb.state).toBe('SYN-RECEIVED');
    guest.expects({ flags: 'SA', seq: 0, ack: 1 });
    guest.sends({ seq: 0, flags: 'SA', ack: 1 });
    expect(tcb.state).toBe('ESTABLISHED');
    expect(host.heard).toEqual(['established']);
    guest.takesAll();
    host.gives('hello');
    guest.expects({ seq: 1, ack: 1, text: 'hello' });
  });

  test('RFC 9293 3.5: crossed SYNs, and the ACK alone completes the open', () => {
    const { guest, host, tcb } = new TcpPeer();
    host.connects();
    guest.expects({ flags: 'S' });
    guest.sendsSyn();
    guest.expects({ flags: 'SA' });
    guest.sends({});
    expect(tcb.state).toBe('ESTABLISHED');
    expect(host.heard).toEqual(['established']);
  });

  test('bytes given before the open is complete go out with its ACK', () => {
    const { guest, host } = new TcpPeer();
    host.connects();
    host.gives('early');
    guest.expects({ flags: 'S', len: 0 });
    guest.expectsNothing();
    guest.sendsSyn('SA');
    guest.expects({ flags: 'A', seq: 1, ack: 1, text: 'early' });
    guest.expectsNothing();
  });

  test('a close before the open is complete sends FIN behind the bytes', () => {
    const { guest, host, tcb } = new TcpPeer();
    host.connects();
    host.gives('bye');
    host.closes();
    guest.expects({ flags: 'S' });
    guest.sendsSyn('SA');
    guest.expects({ flags: 'FA', seq: 1, ack: 1, text: 'bye' });
    expect(tcb.state).toBe('FIN-WAIT-1');
  });

  test('RFC 9293 3.10.7.3: text of the SYN-ACK, in the window of our SYN, is taken', () => {
    const { guest, host } = new TcpPeer();
    host.connects();
    guest.expects({ flags: 'S' });
    guest.sends({ seq: 0, flags: 'SA', ack: 1, data: 'banner' });
    guest.expects({ flags: 'A', ack: 7 });
    expect(host.takes()).toBe('banner');
  });

  test('RFC 9293 3.10.7.4: the SYN-ACK again means that our ACK was lost', () => {
    const { guest } = establishedActively();
    guest.sends({ seq: 0, flags: 'SA', ack: 1 });
    guest.expects({ flags: 'A', seq: 1, ack: 1, len: 0 });
    guest.expectsNothing();
  });
});

test('a connection that ended leaves no timer, and its rings go back to the arena', () => {
  const { guest, host, tcb, timers, account } = established();
  host.gives('x'.repeat(10_000));
  guest.sends({ flags: 'R' });
  expect(host.reason).toBe('peer-reset');
  expect(timers.armed).toBe(0);
  freeRings(tcb);
  expect(account.used).toBe(0);
});

test("RFC 6298 3 (Karn): a SYN-ACK that the peer's repeated SYN has asked for again gives no round trip", () => {
  const { guest, host, clock, tcb } = new TcpPeer({ sackPermitted: true });
  guest.sendsSyn();
  clock.advance(50);
  host.accepts();
  guest.expects({ flags: 'SA' });
  // Lost; the peer's timer is earlier than ours.
  clock.advance(950);
  guest.sendsSyn();
  guest.expects({ flags: 'SA' });
  guest.sends({});
  expect([tcb.rtt.srtt, tcb.rtt.rto]).toEqual([0, 3000]);
  // RFC 5681 3.1: and the window is one segment.
  expect(tcb.congestion.cwnd).toBe(tcb.sendMss);
});

test('RFC 9293 3.10.7.4: before the handshake is over an ACK stands behind our SYN, also for a peer without a window', () => {
  const { guest, host } = new TcpPeer({ wnd: 0 });
  guest.sendsSyn();
  host.accepts();
  guest.expects({ flags: 'SA', seq: 0 });
  guest.sends({ seq: 500_000, ack: 1 });
  guest.expects({ flags: 'A', seq: 1 });
});
