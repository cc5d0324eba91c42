// Which segments say how wide the peer's window is, what is done with one that grows, shrinks or opens a little, and which
// ACK numbers are taken: RFC 9293 3.8.6, 3.10.7.4 fifth, RFC 5961 5.2, RFC 7323 2.4.

import { describe, expect, test } from 'vitest';
import { Drop } from '../../src/base/drop.ts';
import { pattern } from '../support/segment-bytes.ts';
import { at, MSS, sent, tenOut } from '../support/segments-out.ts';
import { established, type TcpPeer } from '../support/tcp-peer.ts';

/** Sequence number and length of the segments with text that were sent. */
function texts({ guest }: TcpPeer): (readonly [number, number])[] {
  return guest.takesAll().flatMap(({ seq, len }) => (len > 0 ? [[seq, len] as const] : []));
}

describe('RFC 5961 5.2: SND.UNA - MAX.SND.WND =< SEG.ACK', () => {
  test.each([
    ['1000', { windShift: -1, wnd: 1000 }, 1000],
    ['65535 times 128', { windShift: 7, wnd: 65_535 }, 65_535 << 7],
    ['none, ever', { windShift: -1, wnd: 0 }, 0],
  ])('a widest window of %s: so far back and no farther', (_, options, widest) => {
    const { guest, host, counters } = established(options);
    guest.sends({ ack: 1 - widest, data: 'late' });
    expect(host.takes()).toBe('late');
    guest.takesAll();
    expect(guest.sends({ ack: 0 - widest, data: 'forged' })).toBe(Drop.TcpNotAcceptable);
    guest.expects({ flags: 'A', seq: 1, ack: 5 });
    expect([host.takes(), counters.challengeAcks]).toEqual(['', 1]);
  });

  test('the widest, not the last one', () => {
    const { guest, host } = established({ windShift: -1, wnd: 2000 });
    guest.sends({ wnd: 5000 });
    guest.sends({ wnd: 10 });
    guest.sends({ ack: 1 - 5000, data: 'late', wnd: 10 });
    expect(host.takes()).toBe('late');
    guest.sends({ ack: 0 - 5000, data: 'forged', wnd: 10 });
    expect(host.takes()).toBe('');
  });
});

describe('RFC 9293 3.10.7.4 fifth: which segment says SND.WND', () => {
  test('none that acknowledges less than was acknowledged, however new its text is', () => {
    const peer = established({ windShift: -1, wnd: 5000 });
    const { guest, host, tcb } = peer;
    host.gives(pattern(20_000));
    expect(texts(peer)).toHaveLength(3);
    guest.sends({ data: 'x', ack: 4381 });
    texts(peer);
    guest.sends({ data: 'y', ack: 2921, wnd: 60_000 });
    expect(host.takes()).toBe('xy');
    expect(texts(peer)).toEqual([]);
    expect(tcb.sndWnd).toBe(5000);
  });

  test('SND.WL1 does not go back with an older segment that acknowledges more', () => {
    const { guest, host, tcb } = established({ windShift: -1, wnd: 5000 });
    guest.sends({ data: 'ab' });
    guest.sends({ data: 'cd' });
    host.gives(pattern(20_000));
    // What was sent before the second, with a new end, and acknowledges more; then one from between.
    guest.sends({ seq: 1, data: 'abcde', ack: 1461, wnd: 6000 });
    expect(tcb.sndWnd).toBe(6000);
    guest.sends({ seq: 2, data: 'bcdef', ack: 1461, wnd: 200 });
    expect(host.takes()).toBe('abcdef');
    expect(tcb.sndWnd).toBe(6000);
  });

  test('nor with text from behind a bare ACK that has overtaken it', () => {
    for (const predicts of [true, false]) {
      const { guest, host, tcb } = established({ windShift: -1, wnd: 5000, predicts });
      guest.sends({ seq: 7, wnd: 300 });
      guest.sends({ seq: 1, data: 'abc', wnd: 300 });
      guest.sends({ seq: 4, data: 'def', wnd: 5000 });
      expect([host.takes(), tcb.sndWnd]).toEqual(['abcdef', 300]);
    }
  });
});

describe("RFC 9293 3.8.6.2.1 (MUST-38): the sender's share of silly windows", () => {
  test('the widest window counts that was ever said, not that of the handshake', () => {
    const peer = established({ windShift: -1, wnd: 1000 });
    const { guest, host, tcb, clock } = peer;
    guest.sends({ wnd: 20_000 });
    guest.sends({ wnd: 900 });
    host.gives(pattern(5000));
    // Half of the first one, less than half of the second.
    guest.expectsNothing();
    clock.advance(tcb.rtt.rto);
    expect(texts(peer)).toEqual([[1, 900]]);
  });

  test('half of the widest goes where nothing is out; with something out it waits for the ACK', () => {
    const peer = established({ windShift: -1, wnd: 1000 });
    const { guest, host } = peer;
    host.gives(pattern(5000));
    expect(texts(peer)).toEqual([[1, 1000]]);
    guest.sends({ ack: 501 });
    expect(texts(peer)).toEqual([]);
    guest.sends({ ack: 1001 });
    expect(texts(peer)).toEqual([[1001, 1000]]);
  });
});

describe('RFC 9293 3.8.6.1: probes', () => {
  test('SHLD-29, 30: once the window has opened, be it a little, the first is after one RTO again', () => {
    const peer = established({ windShift: -1, wnd: 65_535 });
    const { guest, host, tcb, clock, counters } = peer;
    guest.sends({ wnd: 0 });
    host.gives(pattern(1000));
    while (counters.windowProbes < 5) {
      clock.advance(tcb.rtt.rto);
      if (texts(peer).length > 0) guest.sends({ ack: 1, wnd: 0 });
    }
    guest.sends({ ack: 1, wnd: 100 });
    guest.sends({ ack: 1, wnd: 0 });
    guest.expectsNothing();
    clock.advance(tcb.rtt.rto);
    expect(texts(peer)).toEqual([[1, 1]]);
    expect(counters.windowProbes).toBe(6);
  });

  test('MUST-37: silence from before there was anything to ask for is none: ten probes go before it counts', () => {
    const { guest, host, tcb, clock, counters } = established({ windShift: -1, wnd: 0 });
    clock.advance(3_600_000);
    host.gives('hello');
    const due = tcb.persistAt - clock.now();
    expect(due).toBeLessThan(60_000);
    for (let probes = 1; probes <= 10; probes++) {
      while (counters.windowProbes < probes && host.reason === null) clock.advance(due);
      expect([counters.windowProbes, host.reason]).toEqual([probes, null]);
    }
    guest.takesAll();
    guest.sends({ ack: 1, wnd: 100 });
    guest.expects({ text: 'hello' });
  });

  test('3.4: a FIN is a number of its own: it does not go with the byte that is probed with', () => {
    const { guest, host, tcb, clock } = established({ windShift: -1, wnd: 0 });
    host.gives('x');
    host.closes();
    clock.advance(tcb.rtt.rto);
    guest.expects({ flags: 'A', seq: 1, text: 'x' });
    guest.sends({ ack: 2, wnd: 0 });
    clock.advance(tcb.rtt.rto);
    guest.expects({ flags: 'FA', seq: 2, len: 0 });
  });

  test('nor with all the text that a narrow window takes', () => {
    const { guest, host, tcb, clock } = established({ windShift: -1, wnd: 65_535 });
    guest.sends({ wnd: 5 });
    host.gives('hello!');
    guest.expectsNothing();
    clock.advance(tcb.rtt.rto);
    guest.expects({ flags: 'A', seq: 1, text: 'hello' });
    host.closes();
    guest.sends({ ack: 1, wnd: 6 });
    clock.advance(tcb.rtt.rto);
    const [again] = guest.takesAll();
    expect(again).toMatchObject({ flags: 'A', seq: 1, text: 'hello!' });
  });

  test('a link without room begins no wait: one probe has been due, and the next is two RTO behind it', () => {
    const peer = established({ windShift: -1, wnd: 0 });
    const { guest, host, tcb, clock, counters, wire } = peer;
    host.gives('hello');
    wire.room = 0;
    clock.advance(60_000);
    expect(counters.windowProbes).toBe(1);
    host.linkIsWritable();
    expect(texts(peer)).toEqual([[1, 1]]);
    guest.sends({ ack: 1, wnd: 0 });
    clock.advance(2 * tcb.rtt.rto - 1);
    guest.expectsNothing();
    clock.advance(1);
    expect(texts(peer)).toEqual([[1, 1]]);
  });
});

describe('RFC 7323 2.4: a window that shrinks under what is in flight', () => {
  test('deviates from rule 4: after a timeout so much of it goes again as the window takes, the rest as it opens', () => {
    const peer = established({ windShift: 7, wnd: 12 });
    const { guest, host, tcb, clock } = peer;
    host.gives(pattern(1460));
    expect(texts(peer)).toEqual([[1, 1460]]);
    guest.sends({ ack: 1, wnd: 11 });
    expect(tcb.sndWnd).toBe(1408);
    clock.advance(tcb.rtt.rto);
    expect(texts(peer)).toEqual([[1, 1408]]);
    guest.sends({ ack: 1409, wnd: 11 });
    expect(texts(peer)).toEqual([[1409, 52]]);
  });

  test('rule 4, RFC 9293 3.8.6 (MAY-7): in a recovery what was lost goes again beyond a window that was taken back', () => {
    const peer = tenOut({ queued: 20, windShift: -1 });
    peer.clock.advance(100);
    const { guest, tcb } = peer;
    const edge = (i: number): number => (tcb.iss + at(i) + 1) | 0;
    guest.sends({ ack: at(0) + 1, wnd: 2 * MSS, options: { sack: [[edge(5), edge(10)]] } });
    const again = sent(peer);
    guest.sends({ ack: at(1) + 1, wnd: 2 * MSS, options: { sack: [[edge(5), edge(10)]] } });
    again.push(...sent(peer));
    expect(again).toEqual([0, 1, 2, 3, 4]);
  });

  test('rule 5: after a timeout nothing beyond it goes: the window is probed', () => {
    const peer = established({ windShift: -1, wnd: 14_600 });
    const { guest, host, tcb, clock } = peer;
    host.gives(pattern(14_600));
    texts(peer);
    guest.sends({ ack: 1, wnd: 1000 });
    for (let i = 0; i < 6; i++) {
      clock.advance(tcb.rtt.rto);
      for (const [seq, len] of texts(peer)) expect(seq + len).toBeLessThanOrEqual(1001);
    }
    expect(host.reason).toBe(null);
  });

  test('RFC 9293 3.10.7.4: an ACK still stands behind what was sent, as far as the window goes', () => {
    const { guest, host, tcb, clock } = established({ windShift: -1, wnd: 14_600 });
    host.gives(pattern(14_600));
    guest.takesAll();
    guest.sends({ ack: 1, wnd: 1000 });
    clock.advance(tcb.rtt.rto);
    guest.takesAll();
    guest.sends({ data: 'x', ack: 1, wnd: 1000 });
    guest.expects({ flags: 'A', seq: 1001, ack: 2, len: 0 });
  });
});
