import { describe, expect, test } from 'vitest';
import { Drop } from '../../src/base/drop.ts';
import { established } from '../support/tcp-peer.ts';

// A guest whose window we have taken back says in a bare ACK the last number that it may use: one that lies behind what we
// have had of it.

describe('RFC 9293 3.8.6 (MUST-34): a bare ACK from behind rcvNxt', () => {
  test('is taken where it acknowledges something new', () => {
    const peer = established();
    peer.guest.sends({ data: new Uint8Array(100) });
    peer.host.gives(new Uint8Array(1000));
    peer.guest.takesAll();
    expect(peer.guest.sends({ seq: 51, ack: 1001, wnd: 65535 })).toBe(Drop.None);
    expect(peer.tcb.sendRing.length).toBe(0);
    // It is answered all the same: that is how the guest hears what we have had.
    peer.guest.expects({ flags: 'A', ack: 101, len: 0 });
    peer.advance(60_000);
    peer.guest.expectsNothing();
  });

  test('is not taken with text, from farther back than a window, or with an ACK of what was never sent', () => {
    const peer = established({ flowBytes: 65_536, windShift: -1 });
    peer.guest.sends({ data: new Uint8Array(1000) });
    peer.host.gives(new Uint8Array(1000));
    expect(peer.guest.sends({ seq: 1, data: new Uint8Array(100), ack: 1001 })).toBe(Drop.TcpNotAcceptable);
    expect(peer.guest.sends({ seq: 1000 - 65_536, ack: 1001 })).toBe(Drop.TcpNotAcceptable);
    expect(peer.guest.sends({ seq: 500, ack: 1002 })).toBe(Drop.TcpNotAcceptable);
    expect(peer.tcb.sendRing.length).toBe(1000);
  });

  test('RFC 5681 2: a keep-alive is no duplicate ACK', () => {
    const peer = established();
    peer.guest.sends({ data: new Uint8Array(100) });
    peer.host.gives(new Uint8Array(1000));
    peer.guest.takesAll();
    for (let i = 0; i < 5; i++) {
      expect(peer.guest.sends({ seq: 100, ack: 1 })).toBe(Drop.TcpNotAcceptable);
      peer.guest.expects({ flags: 'A', ack: 101, len: 0 });
    }
    peer.guest.expectsNothing();
  });
});
