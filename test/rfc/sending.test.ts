// When data goes out, in which portions, and how long it is tried. RFC 9293 3.7.4, 3.8.3, 3.8.4, 3.8.6, 3.9.1.2.

import { describe, expect, test } from 'vitest';
import { pattern } from '../support/segment-bytes.ts';
import { established } from '../support/tcp-peer.ts';

describe('segments', () => {
  test('RFC 9293 3.7.4 (MUST-17): what is small does not wait for the ACK of what went before', () => {
    const { guest, host } = established();
    for (const text of ['a', 'b', 'c']) {
      host.gives(text);
      guest.expects({ flags: 'A', text, push: true });
    }
  });

  test('RFC 9293 3.9.1.2 (MUST-60, 61): nothing is kept back, and the last segment has PSH', () => {
    const { guest, host } = established();
    host.gives(pattern(3000));
    expect(guest.takesAll().map(({ len, push }) => [len, push])).toEqual([
      [1460, false],
      [1460, false],
      [80, true],
    ]);
  });

  test('RFC 9293 3.9.1.2 (SHLD-27, 28): small pieces given at once make full segments, and one PSH', () => {
    const peer = established();
    peer.run(() => {
      for (let i = 0; i < 30; i++) peer.host.put(pattern(100, 100 * i));
    });
    expect(peer.guest.takesAll().map(({ len, push }) => [len, push])).toEqual([
      [1460, false],
      [1460, false],
      [80, true],
    ]);
  });
});

describe('RFC 9293 3.8.6: a window that shrinks under what is in flight', () => {
  /** Ten segments are out, and the guest takes two of them and a bit. */
  function shrunk() {
    const peer = established({ windShift: -1, wnd: 20_000 });
    peer.host.gives(pattern(14_600));
    expect(peer.guest.takesAll()).toHaveLength(10);
    peer.guest.sends({ ack: 1, wnd: 3000 });
    return peer;
  }

  test('MUST-34, SHLD-15: nothing new is sent', () => {
    const { guest, host } = shrunk();
    host.gives(pattern(1000, 14_600));
    guest.expectsNothing();
  });

  test('SHLD-16: what is inside of it is sent again', () => {
    const { guest, clock, tcb } = shrunk();
    const again = new Set<number>();
    let acked = 1;
    for (let i = 0; i < 20 && acked < 2921; i++) {
      clock.advance(tcb.rtt.rto);
      for (const { seq, len } of guest.takesAll()) {
        again.add(seq);
        if (seq <= acked && seq + len <= 3001) acked = Math.max(acked, seq + len);
      }
      guest.sends({ ack: acked, wnd: 3001 - acked });
    }
    expect(acked).toBeGreaterThanOrEqual(2921);
    expect([...again]).toEqual(expect.arrayContaining([1, 1461]));
  });

  test('SHLD-17: what is beyond it may stay unacknowledged for an hour', () => {
    const { guest, host, clock } = shrunk();
    guest.sends({ ack: 2921, wnd: 80 });
    for (let minute = 0; minute < 60; minute++) {
      clock.advance(60_000);
      for (const _ of guest.takesAll()) guest.sends({ ack: 2921, wnd: 80 });
      guest.takesAll();
    }
    expect(host.reason).toBe(null);
    guest.sends({ ack: 2921, wnd: 20_000 });
    for (let i = 0; i < 100 && guest.ack < 14_601; i++) {
      clock.advance(1000);
      for (const { seq, len } of guest.takesAll()) if (seq <= guest.ack) guest.sends({ ack: seq + len });
    }
    guest.sends({ ack: 14_601 });
    expect(host.reason).toBe(null);
  });
});

describe('keep-alives', () => {
  test('RFC 9293 3.8.4 (MUST-26): none while something is out', () => {
    const { guest, host, clock } = established();
    host.closes();
    guest.expects({ flags: 'FA', seq: 1 });
    clock.advance(150_000);
    const sent = guest.takesAll();
    expect(sent.length).toBeGreaterThan(3);
    for (const { flags, seq } of sent) expect([flags, seq]).toEqual(['FA', 1]);
  });

  test('RFC 9293 3.8.4 (MUST-26): none within two hours of the last word, whoever said it', () => {
    const { guest, host, clock } = established();
    clock.advance(7_000_000);
    guest.sends({ data: 'x' });
    guest.expects({ ack: 2 });
    clock.advance(7_000_000);
    host.gives('y');
    guest.expects({ text: 'y' });
    guest.sends({});
    clock.advance(7_199_999);
    guest.expectsNothing();
    clock.advance(1);
    guest.expects({ flags: 'A', seq: 1, len: 0 });
  });
});
