import { describe, expect, test } from 'vitest';
import { Drop } from '../../src/base/drop.ts';
import { established, type TcpPeer } from '../support/tcp-peer.ts';

/** The host has closed and the guest has acknowledged it. */
function finWait2(): TcpPeer {
  const peer = established();
  peer.host.closes();
  peer.guest.expects({ flags: 'FA', seq: 1, ack: 1 });
  peer.guest.sends({});
  expect(peer.state).toBe('FIN-WAIT-2');
  return peer;
}

function timeWait(): TcpPeer {
  const peer = finWait2();
  peer.guest.sends({ flags: 'FA' });
  peer.guest.expects({ flags: 'A', seq: 2, ack: 2 });
  expect(peer.state).toBe('TIME-WAIT');
  return peer;
}

describe('RFC 9293 3.6: closing', () => {
  test('figure 12: the host closes first, and waits in TIME-WAIT for 10 s', () => {
    const { host, tcb, clock, timers, guest } = timeWait();
    expect(host.heard).toEqual(['established', 'fin']);
    clock.advance(9999);
    expect(tcb.state).toBe('TIME-WAIT');
    clock.advance(1);
    expect(tcb.state).toBe('CLOSED');
    expect(host.heard).toEqual(['established', 'fin', 'closed: normal']);
    expect(timers.armed).toBe(0);
    guest.expectsNothing();
  });

  test('figure 12 from the other side: the guest closes first', () => {
    const { guest, host, tcb, timers } = established();
    guest.sends({ flags: 'FA' });
    guest.expects({ flags: 'A', seq: 1, ack: 2 });
    expect(tcb.state).toBe('CLOSE-WAIT');
    host.closes();
    guest.expects({ flags: 'FA', seq: 1, ack: 2 });
    expect(tcb.state).toBe('LAST-ACK');
    guest.sends({});
    expect(tcb.state).toBe('CLOSED');
    expect(host.heard).toEqual(['established', 'fin', 'closed: normal']);
    expect(timers.armed).toBe(0);
    guest.expectsNothing();
  });

  test('the end is the last that the user hears, also where the last ACK says another window', () => {
    const { guest, host, tcb } = established();
    guest.sends({ flags: 'FA' });
    host.closes();
    guest.takesAll();
    const asked: string[] = [];
    host.wantOutput = () => asked.push(tcb.state);
    guest.sends({ wnd: 1000 });
    expect(host.heard.at(-1)).toBe('closed: normal');
    expect(asked).not.toContain('CLOSED');
  });

  test('figure 13: both close at once', () => {
    const { guest, host, tcb, clock } = established();
    host.closes();
    guest.expects({ flags: 'FA', seq: 1, ack: 1 });
    guest.sends({ flags: 'FA', ack: 1 });
    guest.expects({ flags: 'A', seq: 2, ack: 2 });
    expect(tcb.state).toBe('CLOSING');
    guest.sends({ ack: 2 });
    expect(tcb.state).toBe('TIME-WAIT');
    clock.advance(10_000);
    expect(host.heard).toEqual(['established', 'fin', 'closed: normal']);
  });

  test('FIN with the ACK of our FIN: straight to TIME-WAIT', () => {
    const { guest, host, tcb } = established();
    host.closes();
    guest.expects({ flags: 'FA' });
    guest.sends({ flags: 'FA', ack: 2 });
    guest.expects({ flags: 'A', seq: 2, ack: 2 });
    expect(tcb.state).toBe('TIME-WAIT');
  });

  test('FIN rides on the last data, and both are delivered', () => {
    const { guest, host } = established();
    guest.sends({ data: 'bye', flags: 'FA' });
    guest.expects({ ack: 5 });
    expect(host.heard).toEqual(['established', 'fin']);
    expect(host.takes()).toBe('bye');
    host.gives('adieu');
    guest.expects({ text: 'adieu', flags: 'A' });
    host.closes();
    guest.expects({ flags: 'FA', seq: 6, len: 0 });
  });

  test('close and last data in one turn are one segment', () => {
    const peer = established();
    peer.run(() => {
      peer.host.put(new Uint8Array(3).fill(97));
      peer.host.closes();
    });
    peer.guest.expects({ flags: 'FA', seq: 1, text: 'aaa' });
    peer.guest.expectsNothing();
  });
});

describe('RFC 9293 3.10.7.4 eighth: a FIN counts in its place', () => {
  test('a FIN ahead of missing data is held until that has come', () => {
    const { guest, host, tcb } = established();
    guest.sends({ seq: 4, data: 'def', flags: 'FA' });
    guest.expects({ ack: 1 });
    expect(tcb.state).toBe('ESTABLISHED');
    expect(host.heard).toEqual(['established']);
    guest.sends({ seq: 1, data: 'abc' });
    guest.expects({ ack: 8 });
    expect(tcb.state).toBe('CLOSE-WAIT');
    expect(host.heard).toEqual(['established', 'fin']);
    expect(host.takes()).toBe('abcdef');
  });

  test('a bare FIN ahead of missing data too', () => {
    const { guest, host, tcb } = established();
    guest.sends({ seq: 4, flags: 'FA' });
    guest.expects({ ack: 1 });
    expect(tcb.state).toBe('ESTABLISHED');
    guest.sends({ seq: 1, data: 'abc' });
    guest.expects({ ack: 5 });
    expect(host.heard).toEqual(['established', 'fin']);
  });

  test('a FIN fits a closed window', () => {
    const { guest, tcb } = established({ flowBytes: 4096, windShift: -1 });
    guest.sends({ data: 'x'.repeat(4096) });
    guest.expects({ wnd: 0 });
    guest.sends({ flags: 'FA' });
    guest.expects({ ack: 4098, wnd: 0 });
    expect(tcb.state).toBe('CLOSE-WAIT');
  });

  test('a FIN beyond the window does not count', () => {
    const { guest, tcb } = established({ flowBytes: 4096, windShift: -1 });
    guest.sends({ seq: 5000, flags: 'FA' });
    guest.expects({ ack: 1 });
    guest.sends({ seq: 1, data: 'x'.repeat(4096) });
    guest.expects({ ack: 4097 });
    expect(tcb.state).toBe('ESTABLISHED');
  });

  test('a FIN beyond the window does not count behind text that is cut there either', () => {
    const { guest, host, tcb } = established({ flowBytes: 4096, windShift: -1 });
    guest.sends({ data: 'x'.repeat(4200), flags: 'FA' });
    guest.expects({ ack: 4097, wnd: 0 });
    host.takes();
    guest.takesAll();
    guest.sends({ seq: 4097, data: 'x'.repeat(104) });
    expect(tcb.state).toBe('ESTABLISHED');
    guest.sends({ seq: 4201, flags: 'FA' });
    expect(tcb.state).toBe('CLOSE-WAIT');
  });

  test('a FIN that comes with text we have counts', () => {
    const { guest, host, tcb } = established();
    guest.sends({ data: 'abc' });
    guest.expects({ ack: 4 });
    guest.sends({ seq: 1, data: 'abc', flags: 'FA' });
    guest.expects({ ack: 5 });
    expect(tcb.state).toBe('CLOSE-WAIT');
    expect(host.takes()).toBe('abc');
  });

  test('a FIN in the midst of bytes that have come is not one', () => {
    const { guest, host, tcb } = established();
    guest.sends({ seq: 4, data: 'defghi' });
    guest.sends({ seq: 6, flags: 'FA' });
    guest.sends({ seq: 1, data: 'abc' });
    expect(guest.takesAll().at(-1)!.ack).toBe(10);
    expect(tcb.state).toBe('ESTABLISHED');
    guest.sends({ seq: 10, flags: 'FA' });
    guest.expects({ ack: 11 });
    expect(host.takes()).toBe('abcdefghi');
  });

  test('nor is one that fills a gap before bytes that have come: what follows on those is taken', () => {
    const { guest, host, tcb } = established();
    guest.sends({ seq: 5, data: '456789' });
    guest.sends({ seq: 1, data: '0123', flags: 'FA' });
    expect(guest.takesAll().at(-1)).toMatchObject({ ack: 11 });
    guest.sends({ seq: 11, data: 'more' });
    expect([host.takes(), tcb.state]).toEqual(['0123456789more', 'ESTABLISHED']);
  });

  test('the FIN again is acknowledged again', () => {
    const { guest, tcb } = established();
    guest.sends({ flags: 'FA' });
    guest.expects({ ack: 2 });
    guest.sends({ seq: 1, flags: 'FA' });
    guest.expects({ ack: 2 });
    expect(tcb.state).toBe('CLOSE-WAIT');
  });
});

describe('our FIN', () => {
  test('is sent again until it is acknowledged', () => {
    const { guest, host, clock, tcb } = established();
    host.closes();
    guest.expects({ flags: 'FA', seq: 1 });
    for (let i = 0; i < 5; i++) {
      clock.advance(tcb.rtt.rto);
      guest.expects({ flags: 'FA', seq: 1, len: 0 });
    }
    guest.sends({ ack: 2 });
    expect(tcb.state).toBe('FIN-WAIT-2');
  });

  test('is sent again with the data in front of it', () => {
    const { guest, host, clock, tcb } = established();
    host.gives('abc');
    host.closes();
    guest.takesAll();
    clock.advance(tcb.rtt.rto);
    guest.expects({ flags: 'FA', seq: 1, text: 'abc' });
    guest.expectsNothing();
    guest.sends({ ack: 4 });
    clock.advance(tcb.rtt.rto);
    guest.expects({ flags: 'FA', seq: 4, len: 0 });
    guest.sends({ ack: 5 });
    expect(tcb.state).toBe('FIN-WAIT-2');
  });

  test('is recovered by fast retransmit with the segment it rides on', () => {
    const { guest, host } = established({ windShift: -1, wnd: 1460 });
    host.gives('x'.repeat(1460 * 5));
    host.closes();
    guest.expects({ seq: 1, len: 1460 });
    guest.sends({ ack: 1461, wnd: 65_535 });
    expect(guest.takesAll().at(-1)).toMatchObject({ seq: 1 + 4 * 1460, flags: 'FA' });
    for (let i = 0; i < 3; i++) guest.sends({ ack: 1461, wnd: 65_535 });
    guest.expects({ seq: 1461, len: 1460, flags: 'A' });
    guest.sends({ ack: 1 + 4 * 1460, wnd: 65_535 });
    guest.expects({ seq: 1 + 4 * 1460, len: 1460, flags: 'FA' });
  });

  test('waits behind what the window holds back', () => {
    const { guest, host, tcb } = established({ windShift: -1, wnd: 3 });
    host.gives('abcdef');
    host.closes();
    guest.expects({ flags: 'A', text: 'abc' });
    expect(tcb.state).toBe('FIN-WAIT-1');
    guest.sends({});
    guest.expects({ flags: 'A', text: 'def' });
    guest.sends({});
    guest.expects({ flags: 'FA', seq: 7, len: 0 });
  });
});

describe('half-close', () => {
  test('after the guest has closed, the host still sends', () => {
    const { guest, host, tcb } = established();
    guest.sends({ flags: 'FA' });
    guest.takesAll();
    for (let i = 0; i < 100; i++) {
      host.gives('x'.repeat(14_600));
      expect(guest.takesAll().reduce((sum, sent) => sum + sent.len, 0)).toBe(14_600);
      guest.sends({});
    }
    expect(tcb.state).toBe('CLOSE-WAIT');
    host.closes();
    guest.expects({ flags: 'FA', seq: 1 + 1_460_000 });
    guest.sends({});
    expect(host.reason).toBe('normal');
  });

  test('after the host has closed, the guest still sends', () => {
    const { guest, host, tcb } = finWait2();
    for (let i = 0; i < 100; i++) {
      guest.sends({ data: 'x'.repeat(1460) });
      expect(host.takes().length).toBe(1460);
    }
    expect(guest.takesAll().at(-1)!.ack).toBe(1 + 146_000);
    expect(tcb.state).toBe('FIN-WAIT-2');
    guest.sends({ data: 'end', flags: 'FA' });
    guest.expects({ ack: 5 + 146_000 });
    expect(host.takes()).toBe('end');
    expect(tcb.state).toBe('TIME-WAIT');
  });

  test('data in FIN-WAIT-1 is taken', () => {
    const { guest, host, tcb } = established();
    host.closes();
    guest.expects({ flags: 'FA' });
    guest.sends({ ack: 1, data: 'late' });
    guest.expects({ flags: 'A', seq: 2, ack: 5 });
    expect(host.takes()).toBe('late');
    expect(tcb.state).toBe('FIN-WAIT-1');
  });
});

test('whoever has closed needs no window: none is told when the host reads on', () => {
  const { guest, host, tcb } = established({ flowBytes: 4096, windShift: -1 });
  guest.sends({ data: 'x'.repeat(4000), flags: 'FA' });
  guest.expects({ ack: 4002 });
  host.takes();
  guest.expectsNothing();
  host.closes();
  guest.expects({ flags: 'FA' });
  expect(tcb.state).toBe('LAST-ACK');
});

describe('TIME-WAIT', () => {
  test('anything but a reset is answered with an ACK', () => {
    const { guest, tcb } = timeWait();
    expect(guest.sends({ seq: 1, data: 'x' })).toBe(Drop.TcpNotAcceptable);
    guest.expects({ flags: 'A', seq: 2, ack: 2 });
    expect(tcb.state).toBe('TIME-WAIT');
  });

  test('RFC 9293 3.10.7.4 eighth: the FIN again is acknowledged again, and the wait starts anew', () => {
    const { guest, host, clock } = timeWait();
    clock.advance(6000);
    guest.sends({ seq: 1, flags: 'FA' });
    guest.expects({ flags: 'A', seq: 2, ack: 2 });
    clock.advance(9999);
    expect(host.reason).toBe(null);
    clock.advance(1);
    expect(host.reason).toBe('normal');
  });

  test('a reset ends it, and it was no failure', () => {
    const { guest, host } = timeWait();
    guest.sends({ flags: 'R', seq: 2 });
    expect(host.reason).toBe('normal');
  });

  test('RFC 9293 3.9.1.6: an abort ends it without a segment', () => {
    const { guest, host, tcb } = timeWait();
    host.aborts();
    guest.expectsNothing();
    expect(tcb.state).toBe('CLOSED');
  });
});
