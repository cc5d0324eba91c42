import { describe, expect, test } from 'vitest';
import { Drop } from '../../src/base/drop.ts';
import { TcpPeer } from '../support/tcp-peer.ts';

// The first segment behind the handshake that arrives need not be the first that was sent.

function halfOpen(): TcpPeer {
  const peer = new TcpPeer({ timestamps: true });
  peer.guest.sends({ seq: 0, flags: 'S', options: { mss: 1460, ts: [1000, 0] } });
  peer.host.accepts();
  peer.guest.expects({ flags: 'SA', options: { ts: [expect.any(Number), 1000] } });
  return peer;
}

describe('RFC 7323 4.3: the first text behind a handshake', () => {
  test('is answered with its own time', () => {
    const peer = halfOpen();
    peer.guest.sends({ seq: 1, data: 'one', options: { ts: [1005, 77] } });
    peer.guest.expects({ ack: 4, options: { ts: [expect.any(Number), 1005] } });
  });

  test("is answered with the SYN's time where it is ahead of its turn, and what comes late is taken", () => {
    const peer = halfOpen();
    peer.guest.sends({ seq: 4, data: 'two', options: { ts: [1010, 77] } });
    peer.guest.expects({ ack: 1, options: { ts: [expect.any(Number), 1000] } });
    expect(peer.guest.sends({ seq: 1, data: 'one', options: { ts: [1005, 77] } })).toBe(Drop.None);
    peer.guest.expects({ ack: 7, options: { ts: [expect.any(Number), 1005] } });
    expect(peer.host.takes()).toBe('onetwo');
  });
});
