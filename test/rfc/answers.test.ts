// What comes and is no ordinary text: resets with data, SYNs out of place, ACKs that answer.

import { describe, expect, test } from 'vitest';
import { pattern } from '../support/segment-bytes.ts';
import { established, establishedActively, TcpPeer } from '../support/tcp-peer.ts';

test('RFC 9293 3.5.3 (SHLD-2): a reset may carry data, which is not delivered', () => {
  const { guest, host } = established();
  guest.sends({ flags: 'R', data: 'why' });
  expect(host.heard).toEqual(['established', 'closed: peer-reset']);
  expect(host.takes()).toBe('');
});

describe('RFC 9293 3.5 (MUST-11): a reset in SYN-RECEIVED', () => {
  test('where our SYN crossed the other one, the connection was refused', () => {
    const { guest, host, tcb } = new TcpPeer();
    host.connects();
    guest.sendsSyn();
    expect(tcb.state).toBe('SYN-RECEIVED');
    guest.takesAll();
    guest.sends({ flags: 'R', seq: 1 });
    expect(host.heard).toEqual(['closed: peer-reset']);
    guest.expectsNothing();
  });
});

describe('RFC 5961 4.2: a SYN on a connection gets a challenge ACK, whatever its sequence number', () => {
  const states = {
    ESTABLISHED: () => {},
    'FIN-WAIT-1': (peer: TcpPeer) => peer.host.closes(),
    'FIN-WAIT-2': (peer: TcpPeer) => {
      peer.host.closes();
      peer.guest.sends({ ack: 2 });
    },
    'CLOSE-WAIT': (peer: TcpPeer) => peer.guest.sends({ flags: 'FA' }),
    CLOSING: (peer: TcpPeer) => {
      peer.host.closes();
      peer.guest.sends({ flags: 'FA', ack: 1 });
    },
    'LAST-ACK': (peer: TcpPeer) => {
      peer.guest.sends({ flags: 'FA' });
      peer.host.closes();
    },
    'TIME-WAIT': (peer: TcpPeer) => {
      peer.host.closes();
      peer.guest.sends({ flags: 'FA', ack: 2 });
    },
  };

  test.each(Object.entries(states))('in %s', (state, reach) => {
    for (const seq of [-100_000, -1, 0, 1, 2, 60_000, 100_000, 2 ** 31]) {
      for (const flags of ['S', 'SA']) {
        const peer = established();
        reach(peer);
        peer.guest.takesAll();
        const { rcvNxt, irs } = peer.tcb;
        expect(peer.state).toBe(state);
        peer.guest.sends({ flags, seq, ack: 1 });
        peer.guest.expects({ flags: 'A', len: 0, ack: (rcvNxt - irs) | 0 });
        peer.guest.expectsNothing();
        expect([peer.state, peer.tcb.rcvNxt]).toEqual([state, rcvNxt]);
      }
    }
  });

  test('also without the timestamps that were agreed on: a guest that was rebooted opens again from the same port', () => {
    const { guest, host } = established({ timestamps: true });
    guest.sends({ data: 'x' });
    guest.takesAll();
    guest.sends({ flags: 'S', seq: 900_000, options: { ts: null, mss: 1460 } });
    guest.expects({ flags: 'A', seq: 1, ack: 2 });
    // What its TCP says to an ACK of nothing it has sent. RFC 9293 3.5.1, figure 9.
    guest.sends({ flags: 'R', seq: 2, options: { ts: null } });
    expect(host.reason).toBe('peer-reset');
  });
});

describe('how many ACKs', () => {
  test('RFC 5681 4.2: never more than one for a segment', () => {
    const { guest, host } = established({ sackPermitted: true, timestamps: true });
    let got = 0;
    for (let i = 0; i < 200; i++) {
      const seq = 1 + 10 * (i - (i % 20) + ((i * 7) % 20));
      guest.sends({ seq, data: pattern(10, seq - 1) });
      const acks = guest.takesAll().length;
      expect(acks).toBeLessThanOrEqual(1);
      got += acks;
    }
    expect(got).toBe(200);
    expect(host.takes().length).toBe(2000);
  });

  test('RFC 9293 3.10.7.4 (MUST-59): what has come together is processed before the one ACK goes out', () => {
    const { guest } = established();
    guest.sendsTogether(
      { seq: 7, data: 'ghi' },
      { seq: 4, data: 'def' },
      { seq: 1, data: 'abc' },
      { seq: 10, flags: 'FA' },
    );
    guest.expects({ flags: 'A', ack: 11 });
    guest.expectsNothing();
  });
});

describe('RFC 1122 4.2.2.20 (c), (f): SND.WND and where it came from, as a connection becomes ESTABLISHED', () => {
  test('from the ACK of our SYN-ACK, scaled', () => {
    const { tcb } = established({ wnd: 500, windShift: 3 });
    expect([tcb.sndWnd, (tcb.sndWl1 - tcb.irs) | 0, (tcb.sndWl2 - tcb.iss) | 0]).toEqual([4000, 1, 1]);
  });

  test('from the SYN-ACK, not scaled', () => {
    const { tcb } = establishedActively({ wnd: 500, windShift: 3 });
    expect([tcb.sndWnd, (tcb.sndWl1 - tcb.irs) | 0, (tcb.sndWl2 - tcb.iss) | 0]).toEqual([500, 0, 1]);
  });
});
