// Nothing stays for ever: how long each state lasts when the peer has gone without a word, and that none ends while the
// peer answers. What a state waits for is in src/tcp/timers.ts.

import { describe, expect, test } from 'vitest';
import * as user from '../../src/tcp/user.ts';
import { pattern } from '../support/segment-bytes.ts';
import { established, TcpPeer } from '../support/tcp-peer.ts';

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;

function finWait1(): TcpPeer {
  const peer = established();
  peer.host.closes();
  return peer;
}

function finWait2(): TcpPeer {
  const peer = finWait1();
  peer.guest.takesAll();
  peer.guest.sends({});
  return peer;
}

function closeWait(): TcpPeer {
  const peer = established();
  peer.guest.sends({ flags: 'FA' });
  return peer;
}

/** The window is closed over `bytes` that are to be sent. */
function stalled(): TcpPeer {
  const peer = established({ wnd: 0 });
  peer.host.gives(pattern(5000));
  return peer;
}

const ways: Readonly<Record<string, () => TcpPeer>> = {
  'SYN-SENT': () => {
    const peer = new TcpPeer();
    peer.host.connects();
    return peer;
  },
  'SYN-RECEIVED': () => {
    const peer = new TcpPeer();
    peer.guest.sendsSyn();
    peer.host.accepts();
    return peer;
  },
  'SYN-RECEIVED, both have opened': () => {
    const peer = new TcpPeer();
    peer.host.connects();
    peer.guest.takesAll();
    peer.guest.sendsSyn();
    return peer;
  },
  'ESTABLISHED, idle': () => established(),
  'ESTABLISHED, data unacknowledged': () => {
    const peer = established();
    peer.host.gives(pattern(5000));
    return peer;
  },
  'ESTABLISHED, window closed': stalled,
  'ESTABLISHED, window closed over data in flight': () => {
    const peer = established();
    peer.host.gives(pattern(5000));
    peer.guest.takesAll();
    peer.guest.sends({ ack: 1, wnd: 0 });
    return peer;
  },
  'ESTABLISHED, data out of order': () => {
    const peer = established();
    peer.guest.sends({ seq: 100, data: pattern(1000) });
    return peer;
  },
  'FIN-WAIT-1': finWait1,
  'FIN-WAIT-1, data before the FIN': () => {
    const peer = established();
    peer.host.gives(pattern(5000));
    peer.host.closes();
    return peer;
  },
  'FIN-WAIT-1, window closed': () => {
    const peer = stalled();
    peer.host.closes();
    return peer;
  },
  'FIN-WAIT-2': finWait2,
  'CLOSE-WAIT': closeWait,
  'CLOSE-WAIT, data unacknowledged': () => {
    const peer = closeWait();
    peer.host.gives(pattern(5000));
    return peer;
  },
  CLOSING: () => {
    const peer = finWait1();
    peer.guest.sends({ flags: 'FA', ack: 1 });
    return peer;
  },
  'LAST-ACK': () => {
    const peer = closeWait();
    peer.host.closes();
    return peer;
  },
  'TIME-WAIT': () => {
    const peer = finWait2();
    peer.guest.sends({ flags: 'FA' });
    return peer;
  },
};

describe('the peer has gone without a word', () => {
  // From, to: seconds.
  test.each([
    ['SYN-SENT', 180, 200, 'RFC 9293 3.8.3 (MUST-23): a SYN for three minutes at least'],
    ['SYN-RECEIVED', 60, 75, 'as long as the host is given to connect'],
    ['SYN-RECEIVED, both have opened', 60, 200, ''],
    ['ESTABLISHED, idle', 7200, 7320, 'RFC 9293 3.8.4 (MUST-28): two hours'],
    ['ESTABLISHED, data unacknowledged', 100, 300, 'RFC 9293 3.8.3 (SHLD-11): R2 is 100 s at least'],
    ['ESTABLISHED, window closed', 180, 300, 'RFC 9293 3.8.6.1: three minutes without an answer to a probe'],
    ['ESTABLISHED, window closed over data in flight', 100, 300, ''],
    ['ESTABLISHED, data out of order', 7200, 7320, ''],
    ['FIN-WAIT-1', 75, 195, 'half-closed: within minutes'],
    ['FIN-WAIT-1, data before the FIN', 75, 195, ''],
    ['FIN-WAIT-1, window closed', 75, 195, ''],
    ['FIN-WAIT-2', 75, 195, 'not for days'],
    ['CLOSE-WAIT', 75, 195, ''],
    ['CLOSE-WAIT, data unacknowledged', 75, 195, ''],
    ['CLOSING', 75, 195, ''],
    ['LAST-ACK', 75, 195, ''],
  ])('%s: over after %i to %i s, timed out. %s', (name, from, to) => {
    const peer = ways[name]!();
    const { host, timers, account } = peer;
    expect(peer.state).toBe(name.split(',')[0]);
    peer.advance(from * SECOND - 1);
    expect(host.reason).toBe(null);
    peer.guest.takesAll();
    peer.advance((to - from) * SECOND + 1);
    expect(host.reason).toBe('timed-out');
    expect(peer.state).toBe('CLOSED');
    expect(timers.armed).toBe(0);
    user.freeRings(peer.tcb);
    expect(account.used).toBe(0);
    // A peer that has never answered hears no reset.
    const resets = peer.guest.takesAll().filter(({ flags }) => flags === 'RA');
    expect(resets).toHaveLength(name === 'SYN-SENT' ? 0 : 1);
  });

  test('TIME-WAIT: over after 10 s, normally', () => {
    const peer = ways['TIME-WAIT']!();
    expect(peer.state).toBe('TIME-WAIT');
    peer.advance(10 * SECOND - 1);
    expect(peer.host.reason).toBe(null);
    peer.advance(1);
    expect(peer.host.reason).toBe('normal');
    expect(peer.timers.armed).toBe(0);
  });

  test('SYN-RECEIVED, not answered yet: that is for the user to end, TCP says nothing', () => {
    const peer = new TcpPeer();
    peer.guest.sendsSyn();
    peer.advance(10 * HOUR);
    peer.guest.expectsNothing();
    expect(peer.timers.armed).toBe(0);
    peer.host.aborts();
    peer.guest.expects({ flags: 'RA', seq: -peer.tcb.iss, ack: 1 });
    expect(peer.state).toBe('CLOSED');
  });

  test.each([200, 1000, 20_000])(
    'data unacknowledged, round trips of %i ms: 100 s at least, 12 min at most',
    (ms) => {
      const peer = established();
      for (let i = 0; i < 20; i++) {
        peer.host.gives(pattern(100));
        peer.advance(ms);
        peer.guest.takesAll();
        peer.guest.sends({});
      }
      peer.host.gives(pattern(100));
      peer.advance(100 * SECOND);
      expect(peer.host.reason).toBe(null);
      peer.advance(10 * MINUTE + 20 * SECOND);
      expect(peer.host.reason).toBe('timed-out');
      expect(peer.timers.armed).toBe(0);
    },
  );
});

describe('the peer is there, and answers', () => {
  test.each([
    'ESTABLISHED, idle',
    'ESTABLISHED, window closed',
    'ESTABLISHED, data out of order',
    'FIN-WAIT-1, window closed',
    'FIN-WAIT-2',
    'CLOSE-WAIT',
  ])('%s: three days and more', (name) => {
    const peer = ways[name]!();
    const { guest } = peer;
    guest.takesAll();
    const wnd = name.endsWith('closed') ? 0 : 65535;
    let answers = 0;
    for (let at = 0; at < 73 * HOUR; at += 75 * SECOND) {
      peer.advance(75 * SECOND);
      for (const _ of peer.wire.segments.splice(0)) {
        guest.sends({ wnd });
        answers++;
      }
    }
    expect(peer.state).toBe(name.split(',')[0]);
    expect(answers).toBeGreaterThan(name === 'ESTABLISHED, idle' ? 30 : 10);
  });

  test('but not one that answers and acknowledges nothing: the FIN is given up', () => {
    for (const name of ['CLOSING', 'LAST-ACK', 'FIN-WAIT-1']) {
      const peer = ways[name]!();
      for (let at = 0; at < 5 * MINUTE && peer.host.reason === null; at += SECOND) {
        peer.advance(SECOND);
        for (const _ of peer.wire.segments.splice(0)) peer.guest.sends({ ack: 1 });
      }
      expect(peer.host.reason).toBe('timed-out');
      expect(peer.timers.armed).toBe(0);
    }
  });
});

describe('a flow that stands still', () => {
  /** Turns in which the timer fired until `ms` have passed. */
  function wakes(peer: TcpPeer, ms: number): number {
    let n = 0;
    for (let at = 0; at < ms; at += 100) {
      const before = peer.tcb.timer.at;
      peer.advance(100);
      if (peer.tcb.timer.at !== before) n++;
      peer.guest.takesAll();
    }
    return n;
  }

  test('bytes that the host does not take cost a turn a minute, not one a second', () => {
    const peer = established();
    peer.guest.sends({ data: pattern(5000) });
    expect(wakes(peer, HOUR)).toBeLessThan(70);
    expect(wakes(peer, HOUR)).toBeLessThan(62);
    // Taken at last: the storage goes back within a second, as ever.
    peer.host.takes();
    peer.advance(2 * SECOND);
    expect(peer.account.used).toBe(0);
  });

  test('bytes that the guest does not take: the storage goes back a second after they are acknowledged', () => {
    const peer = stalled();
    for (let minute = 0; minute < 60; minute++) {
      peer.advance(MINUTE);
      for (const _ of peer.guest.takesAll()) peer.guest.sends({ ack: 1, wnd: 0 });
    }
    expect(peer.account.used).toBeGreaterThan(0);
    peer.guest.sends({ ack: 1, wnd: 65535 });
    peer.guest.takesAll();
    peer.guest.sends({ ack: 5001, wnd: 65535 });
    expect(peer.tcb.sendRing.length).toBe(0);
    peer.advance(2 * SECOND);
    expect(peer.account.used).toBe(0);
  });
});

test('what the user takes after the end arms nothing', () => {
  const peer = established();
  peer.guest.sends({ data: 'last' });
  peer.guest.sends({ flags: 'R' });
  expect(peer.state).toBe('CLOSED');
  expect(peer.host.takes()).toBe('last');
  expect(peer.timers.armed).toBe(0);
});

test('RFC 5961 7: guesses at a handshake are answered ten times a second', () => {
  const peer = new TcpPeer();
  peer.advance(SECOND / 2);
  peer.guest.sendsSyn();
  peer.host.accepts();
  peer.guest.expects({ flags: 'SA' });
  for (let i = 0; i < 30; i++) peer.guest.sends({ seq: 1_000_000 + i, flags: 'A', data: 'guess' });
  expect(peer.guest.takesAll()).toHaveLength(10);
  expect(peer.drops.lossSnapshot()).toEqual({ ChallengeRateLimited: 20 });
  // Before the SYN-ACK is due again.
  peer.advance(SECOND / 2);
  peer.guest.sends({ seq: 1_000_000, flags: 'A' });
  peer.guest.expects({ flags: 'A', ack: 1 });
  peer.guest.sends({ seq: 1, ack: 1 });
  expect(peer.state).toBe('ESTABLISHED');
});
