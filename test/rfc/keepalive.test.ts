import { describe, expect, test } from 'vitest';
import { established, TcpPeer } from '../support/tcp-peer.ts';

describe("the guest's keep-alives", () => {
  test('RFC 9293 3.8.4: a probe of 0 bytes or 1 gets one ACK', () => {
    const { guest, host } = established();
    guest.sends({ data: 'abc' });
    guest.expects({ ack: 4 });
    guest.sends({ seq: 3 });
    guest.expects({ flags: 'A', seq: 1, ack: 4 });
    guest.expectsNothing();
    guest.sends({ seq: 3, data: 'c' });
    guest.expects({ flags: 'A', seq: 1, ack: 4 });
    guest.expectsNothing();
    expect(host.takes()).toBe('abc');
  });
});

describe('our keep-alives', () => {
  test('RFC 9293 3.8.4 (MUST-28): after two hours of silence, at a number that was acknowledged', () => {
    const { guest, clock } = established();
    clock.advance(7_199_999);
    guest.expectsNothing();
    clock.advance(1);
    guest.expects({ flags: 'A', seq: 0, ack: 1, len: 0 });
    guest.expectsNothing();
  });

  test('an answer is good for two more hours', () => {
    const { guest, host, clock } = established();
    for (let i = 0; i < 20; i++) {
      clock.advance(7_200_000);
      guest.expects({ seq: 0 });
      guest.sends({});
      guest.expectsNothing();
    }
    expect(host.reason).toBe(null);
  });

  test('a guest that does not answer is gone two minutes later', () => {
    const { guest, host, clock, timers } = established();
    clock.advance(7_200_000);
    guest.expects({ seq: 0 });
    for (let i = 0; i < 7; i++) {
      clock.advance(15_000);
      guest.expects({ flags: 'A', seq: 0 });
    }
    clock.advance(14_999);
    expect(host.reason).toBe(null);
    clock.advance(1);
    expect(host.reason).toBe('timed-out');
    guest.expects({ flags: 'RA', seq: 1 });
    expect(timers.armed).toBe(0);
  });

  test.each(['host', 'guest'])('half-closed by the %s: after 75 s, and dead after 195', (who) => {
    const { guest, host, clock } = established();
    if (who === 'host') {
      host.closes();
      guest.expects({ flags: 'FA' });
      guest.sends({});
    } else {
      guest.sends({ flags: 'FA' });
      guest.takesAll();
    }
    clock.advance(74_999);
    guest.expectsNothing();
    clock.advance(1);
    guest.expects({ flags: 'A', len: 0 });
    clock.advance(119_999);
    expect(host.reason).toBe(null);
    clock.advance(1);
    expect(host.reason).toBe('timed-out');
  });

  test('half-closed flows whose other side is there live on', () => {
    const { guest, host, clock } = established();
    host.closes();
    guest.expects({ flags: 'FA' });
    guest.sends({});
    for (let minute = 0; minute < 300; minute++) {
      clock.advance(60_000);
      for (const _ of guest.takesAll()) guest.sends({});
    }
    expect(host.reason).toBe(null);
  });
});

test('a close before the connection is open sends no keep-alive', () => {
  const { guest, host, tcb, clock } = new TcpPeer();
  host.connects();
  host.closes();
  guest.expects({ flags: 'S' });
  clock.advance(80_000);
  expect(guest.takesAll().every((sent) => sent.flags === 'S')).toBe(true);
  expect(tcb.keepaliveDue).toBe(false);
});

test('a keep-alive and an ACK that are due together are an ACK', () => {
  const { guest, host, clock, wire } = established();
  wire.room = 0;
  clock.advance(7_200_000);
  guest.sends({ data: 'x' });
  guest.expectsNothing();
  host.linkIsWritable();
  guest.expects({ flags: 'A', seq: 1, ack: 2 });
  guest.expectsNothing();
});
