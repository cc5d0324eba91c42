import { describe, expect, test } from 'vitest';
import { Drop, Loss } from '../../src/base/drop.ts';
import { established, TcpPeer } from '../support/tcp-peer.ts';

describe('RFC 5961 3.2: a reset', () => {
  test('at exactly the next sequence number ends the connection', () => {
    const { guest, host, timers } = established();
    host.gives('x');
    guest.takesAll();
    expect(guest.sends({ flags: 'R', seq: 1 })).toBe(Drop.None);
    expect(host.heard).toEqual(['established', 'closed: peer-reset']);
    expect(timers.armed).toBe(0);
    guest.expectsNothing();
  });

  test('that also acknowledges our FIN is the last segment of the connection', () => {
    const { guest, host } = established();
    host.closes();
    guest.expects({ flags: 'FA' });
    expect(guest.sends({ flags: 'RA', ack: 2 })).toBe(Drop.None);
    expect(host.heard).toEqual(['established', 'closed: peer-reset']);
    expect(guest.sends({ data: 'x' })).toBe(Drop.TcpNoFlow);
  });

  test('elsewhere in the window is asked back', () => {
    const { guest, tcb, counters } = established();
    for (const seq of [2, 1000, 65535]) {
      guest.sends({ flags: 'R', seq });
      guest.expects({ flags: 'A', seq: 1, ack: 1, len: 0 });
    }
    expect(tcb.state).toBe('ESTABLISHED');
    expect(counters.challengeAcks).toBe(3);
  });

  test('outside of the window is ignored', () => {
    const { guest, tcb } = established();
    for (const seq of [0, -1000, 65536, 65537, 1_000_000]) guest.sends({ flags: 'R', seq });
    guest.expectsNothing();
    expect(tcb.state).toBe('ESTABLISHED');
  });

  test('behind data in the same turn: the data is delivered first', () => {
    const { guest, host } = established();
    guest.sendsTogether({ data: 'last words' }, { flags: 'R' });
    expect(host.reason).toBe('peer-reset');
    expect(host.takesBytes().length).toBe(10);
  });

  test('with a closed window, at the next sequence number, ends it (RFC 9293 MUST-66)', () => {
    const { guest, host } = established({ flowBytes: 4096, windShift: -1 });
    guest.sends({ data: 'x'.repeat(4096) });
    guest.takesAll();
    guest.sends({ flags: 'R' });
    expect(host.reason).toBe('peer-reset');
  });
});

test('RFC 9293 3.10.7.4 second: in CLOSING and LAST-ACK a reset is an end like any other', () => {
  for (const guestFirst of [true, false]) {
    const { guest, host, tcb } = established();
    if (guestFirst) guest.sends({ flags: 'FA' });
    host.closes();
    if (!guestFirst) guest.sends({ flags: 'FA', ack: 1 });
    expect(tcb.state).toBe(guestFirst ? 'LAST-ACK' : 'CLOSING');
    guest.sends({ flags: 'R' });
    expect(host.reason).toBe('normal');
  }
});

test('RFC 5961 4.2: a SYN in the window gets a challenge ACK', () => {
  const { guest, tcb, counters } = established();
  for (const seq of [1, 2, 5000]) {
    guest.sends({ flags: 'S', seq });
    guest.expects({ flags: 'A', seq: 1, ack: 1 });
  }
  expect(tcb.state).toBe('ESTABLISHED');
  expect(counters.challengeAcks).toBe(3);
});

test('RFC 5961 7: at most ten challenge ACKs a second', () => {
  const { guest, drops, clock } = established();
  for (let i = 0; i < 25; i++) guest.sends({ flags: 'S', seq: 1 });
  expect(guest.takesAll().length).toBe(10);
  expect(drops.lost(Loss.ChallengeRateLimited)).toBe(15);
  clock.advance(1000);
  guest.sends({ flags: 'S', seq: 1 });
  expect(guest.takesAll().length).toBe(1);
});

test('two ends that disagree do not answer each other without end: ten ACKs a second', () => {
  const { guest, drops } = established();
  for (let i = 0; i < 25; i++) guest.sends({ seq: -5000 });
  expect(guest.takesAll().length).toBe(10);
  expect(drops.lost(Loss.ChallengeRateLimited)).toBe(15);
  guest.sends({ seq: -5000, data: 'x' });
  guest.expects({ flags: 'A', ack: 1 });
});

describe('RFC 5961 5.2: the range of an ACK', () => {
  test('beyond what we sent: a challenge, and the data is not taken', () => {
    const { guest, host } = established();
    expect(guest.sends({ ack: 2, data: 'forged' })).toBe(Drop.TcpNotAcceptable);
    guest.expects({ flags: 'A', seq: 1, ack: 1 });
    expect(host.takes()).toBe('');
  });

  test('older than the widest window: the same', () => {
    const { guest, host } = established({ windShift: 0 });
    guest.sends({ ack: 1 - 65535, data: 'old' });
    expect(host.takes()).toBe('old');
    guest.takesAll();
    expect(guest.sends({ ack: 1 - 65536, data: 'forged' })).toBe(Drop.TcpNotAcceptable);
    guest.expects({ flags: 'A', ack: 4 });
    expect(host.takes()).toBe('');
  });

  test('a segment without ACK is dropped', () => {
    const { guest, host } = established();
    expect(guest.sends({ flags: 'P', data: 'x' })).toBe(Drop.TcpNotAcceptable);
    guest.expectsNothing();
    expect(host.takes()).toBe('');
  });
});

describe('our reset', () => {
  test('RFC 9293 3.9.1.6: an abort sends RST at the next sequence number', () => {
    const { guest, host, tcb, timers } = established();
    host.gives('abc');
    guest.expects({ text: 'abc' });
    host.aborts();
    guest.expects({ flags: 'RA', seq: 4, ack: 1, len: 0 });
    expect(tcb.state).toBe('CLOSED');
    expect(host.heard).toEqual(['established']);
    expect(timers.armed).toBe(0);
  });

  test('behind data that was given but not sent: the number of what was sent', () => {
    const { guest, host } = established({ windShift: -1, wnd: 3 });
    host.gives('abcdef');
    guest.expects({ text: 'abc' });
    guest.sends({ ack: 4, wnd: 0 });
    host.aborts();
    guest.expects({ flags: 'RA', seq: 4 });
  });

  test('RFC 5961 3.2: behind a probe of a closed window it stays inside of it', () => {
    const { guest, host, tcb, clock } = established({ wnd: 0 });
    host.gives('abc');
    clock.advance(tcb.rtt.rto);
    guest.expects({ seq: 1, text: 'a' });
    guest.sends({ ack: 1 });
    host.aborts();
    guest.expects({ flags: 'RA', seq: 1 });
  });

  test('says nothing to a guest that has not answered our SYN', () => {
    const { guest, host } = new TcpPeer();
    host.connects();
    guest.expects({ flags: 'S' });
    host.aborts();
    guest.expectsNothing();
  });

  test.each([
    ['S', 'RA', 0, 1],
    ['A', 'R', 77, 0],
    ['FA', 'R', 77, 0],
    ['SA', 'R', 77, 0],
    ['F', 'RA', 0, 1],
  ])('RFC 9293 3.10.7.1: without a connection %s is answered with %s', (flags, answer, seq, ack) => {
    const peer = new TcpPeer({ iss: 0, irs: 0 });
    const sent = peer.resetFor({ flags, seq: 0, ack: 77 });
    expect(sent).toMatchObject({ flags: answer, seq, ack });
  });
});

describe('RST in SYN-RECEIVED', () => {
  test('at the next sequence number ends it', () => {
    const { guest, host } = new TcpPeer();
    guest.sendsSyn();
    host.accepts();
    guest.expects({ flags: 'SA' });
    guest.sends({ flags: 'R', seq: 1 });
    expect(host.heard).toEqual(['closed: peer-reset']);
  });

  test('RFC 5961 3.2: elsewhere in the window it is asked back, and ignored outside of it', () => {
    const { guest, host, tcb } = new TcpPeer();
    guest.sendsSyn();
    host.accepts();
    guest.takesAll();
    guest.sends({ flags: 'R', seq: 2 });
    guest.expects({ flags: 'A', seq: 1, ack: 1 });
    guest.sends({ flags: 'R', seq: 70_000 });
    guest.sends({ flags: 'R', seq: 0 });
    guest.expectsNothing();
    expect(tcb.state).toBe('SYN-RECEIVED');
  });

  test('also while the SYN-ACK is held', () => {
    const { guest, host } = new TcpPeer();
    guest.sendsSyn();
    guest.sends({ flags: 'R', seq: 1 });
    expect(host.heard).toEqual(['closed: peer-reset']);
  });
});

describe('a guest that begins anew from the same port', () => {
  test('while the SYN-ACK is held: the new SYN takes the place of the old', () => {
    const { guest, host, tcb } = new TcpPeer({ irs: 5000 });
    guest.sendsSyn();
    guest.sends({ seq: 77_000, flags: 'S', options: { mss: 900 } });
    guest.expectsNothing();
    host.accepts();
    guest.expects({ flags: 'SA', seq: 0, ack: 1 });
    expect([tcb.irs, tcb.sendMss]).toEqual([82_000, 900]);
  });

  test('RFC 5961 4.2: after it, a challenge; the guest answers with a reset and is free to open', () => {
    const { guest, host } = new TcpPeer();
    guest.sendsSyn();
    host.accepts();
    guest.takesAll();
    guest.sends({ seq: 77_000, flags: 'S' });
    guest.expects({ flags: 'A', seq: 1, ack: 1 });
    guest.sends({ seq: 1, flags: 'R' });
    expect(host.reason).toBe('peer-reset');
  });
});
