import { describe, expect, test } from 'vitest';
import { Drop } from '../../src/base/drop.ts';
import { established } from '../support/tcp-peer.ts';

describe('RFC 9293 3.10.7.4 seventh: segment text', () => {
  test('in order: acknowledged, and there for the host', () => {
    const { guest, host } = established();
    guest.sends({ data: 'abc' });
    guest.expects({ flags: 'A', seq: 1, ack: 4, len: 0 });
    expect(host.takes()).toBe('abc');
    guest.expectsNothing();
  });

  test('SHLD-31: out of order is kept, acknowledged as a duplicate, and joins when the gap closes', () => {
    const { guest, host } = established();
    guest.sends({ seq: 4, data: 'def' });
    guest.expects({ ack: 1 });
    guest.sends({ seq: 10, data: 'jkl' });
    guest.expects({ ack: 1 });
    expect(host.takes()).toBe('');
    guest.sends({ seq: 1, data: 'abc' });
    guest.expects({ ack: 7 });
    expect(host.takes()).toBe('abcdef');
    guest.sends({ seq: 7, data: 'ghi' });
    guest.expects({ ack: 13 });
    expect(host.takes()).toBe('ghijkl');
  });

  test('duplicates and overlaps: each byte once', () => {
    const { guest, host } = established();
    guest.sends({ seq: 1, data: 'abcd' });
    guest.sends({ seq: 1, data: 'abcd' });
    guest.sends({ seq: 3, data: 'cdef' });
    guest.sends({ seq: 9, data: 'ij' });
    guest.sends({ seq: 8, data: 'hijk' });
    guest.sends({ seq: 2, data: 'bcdefghi' });
    expect(guest.takesAll().map((sent) => sent.ack)).toEqual([5, 5, 7, 7, 7, 12]);
    expect(host.takes()).toBe('abcdefghijk');
  });

  test('what lies beyond the window is cut, what lies before it too', () => {
    const { guest, host } = established({ flowBytes: 4096, windShift: -1 });
    guest.sends({ data: 'x'.repeat(4000) });
    guest.expects({ ack: 4001, wnd: 96 });
    guest.sends({ seq: 3991, data: 'y'.repeat(300) });
    guest.expects({ ack: 4097, wnd: 0 });
    expect(host.takes().length).toBe(4096);
  });

  test('a segment wholly beyond the window gets an ACK and is dropped', () => {
    const { guest, host } = established({ flowBytes: 4096, windShift: -1 });
    expect(guest.sends({ seq: 1 + 4096, data: 'x' })).toBe(Drop.TcpNotAcceptable);
    guest.expects({ ack: 1, wnd: 4096 });
    expect(host.takes()).toBe('');
  });

  test('MUST-66: with a closed window data is refused, its ACK is taken', () => {
    const { guest, host, tcb } = established({ flowBytes: 4096, windShift: -1 });
    guest.sends({ data: 'x'.repeat(4096) });
    guest.expects({ ack: 4097, wnd: 0 });
    host.gives('reply');
    guest.expects({ text: 'reply' });
    expect(guest.sends({ data: 'y' })).toBe(Drop.TcpNotAcceptable);
    guest.expects({ ack: 4097, wnd: 0 });
    expect(tcb.sendRing.length).toBe(0);
  });

  test('at most 256 ranges are kept: a segment that would need one more is dropped and comes again', () => {
    const { guest, host, tcb } = established();
    for (let i = 0; i < 300; i++) guest.sends({ seq: 3 + 2 * i, data: 'x' });
    expect(tcb.gaps.count).toBe(256);
    expect(guest.takesAll().every((sent) => sent.ack === 1)).toBe(true);
    for (let i = 0; i < 600; i++) guest.sends({ seq: 1 + i, data: 'y' });
    guest.takesAll();
    expect(host.takes().length).toBe(601 - 1);
  });

  test('what lies beyond the window is cut also where there would be room for it', () => {
    const { guest, host, tcb } = established({ flowBytes: 1 << 20, sackPermitted: true });
    guest.sends({ seq: 65_001, data: 'x'.repeat(1000) });
    const { sack } = guest.expects({ ack: 1 }).options;
    expect(sack!.map(([left, right]) => [left - tcb.irs, right - tcb.irs])).toEqual([[65_001, 65_536]]);
    expect(host.takes()).toBe('');
  });

  test('data behind a FIN that came ahead of its turn is cut', () => {
    const { guest, host, tcb } = established();
    guest.sends({ seq: 11, flags: 'FA' });
    guest.expects({ ack: 1 });
    guest.sends({ seq: 5, data: '456789lie' });
    guest.expects({ ack: 1 });
    guest.sends({ seq: 1, data: '0123' });
    guest.expects({ ack: 12 });
    expect([host.takes(), tcb.state]).toEqual(['0123456789', 'CLOSE-WAIT']);
  });

  test('data behind the FIN, or after it, is refused', () => {
    const { guest, host } = established();
    guest.sends({ data: 'end', flags: 'FA' });
    guest.expects({ ack: 5 });
    guest.sends({ data: 'more' });
    guest.expects({ ack: 5 });
    expect(host.takes()).toBe('end');
  });
});

describe('what is acknowledged when', () => {
  test('RFC 9293 3.8.6.3 (MUST-58): a burst within a turn gets one ACK, at once', () => {
    const { guest } = established();
    guest.sendsTogether(...Array.from({ length: 50 }, () => ({ data: 'x'.repeat(1000) })));
    guest.expects({ ack: 50_001 });
    guest.expectsNothing();
  });

  test('the ACK rides on data', () => {
    const peer = established();
    peer.run(() => {
      peer.guest.sends({ data: 'question' });
      peer.host.put(new Uint8Array(5).fill(97));
    });
    peer.guest.expects({ ack: 9, text: 'aaaaa' });
    peer.guest.expectsNothing();
  });

  test('RFC 5681 4.2: a segment that fills a gap is acknowledged at once', () => {
    const { guest } = established();
    guest.sends({ seq: 2, data: 'b' });
    guest.expects({ ack: 1 });
    guest.sends({ seq: 1, data: 'a' });
    guest.expects({ ack: 3 });
  });

  test('RFC 2018 4: the first SACK block is what came last, the others follow', () => {
    const { guest, tcb } = established({ sackPermitted: true });
    const at = (seq: number) => (tcb.irs + seq) | 0;
    guest.sends({ seq: 3, data: 'c' });
    expect(guest.expects({ ack: 1 }).options.sack).toEqual([[at(3), at(4)]]);
    guest.sends({ seq: 7, data: 'g' });
    expect(guest.expects({ ack: 1 }).options.sack).toEqual([
      [at(7), at(8)],
      [at(3), at(4)],
    ]);
    guest.sends({ seq: 4, data: 'd' });
    expect(guest.expects({ ack: 1 }).options.sack).toEqual([
      [at(3), at(5)],
      [at(7), at(8)],
    ]);
    guest.sends({ seq: 1, data: 'ab' });
    expect(guest.expects({ ack: 5 }).options.sack).toEqual([[at(7), at(8)]]);
    guest.sends({ seq: 5, data: 'ef' });
    expect(guest.expects({ ack: 8 }).options.sack).toBe(undefined);
  });

  test('RFC 2018 3: four blocks, three beside timestamps', () => {
    for (const timestamps of [false, true]) {
      const { guest } = established({ sackPermitted: true, timestamps });
      for (let i = 0; i < 6; i++) guest.sends({ seq: 3 + 2 * i, data: 'x' });
      expect(guest.takesAll().at(-1)!.options.sack!.length).toBe(timestamps ? 3 : 4);
    }
  });
});

test.each([
  [68, 0],
  [72, 1],
  [80, 2],
  [576, 3],
])('with an MTU of %i there are %i SACK blocks beside timestamps, and room for text', (mtu, blocks) => {
  const { guest, host } = established({ mtu, sackPermitted: true, timestamps: true });
  for (let i = 0; i < 6; i++) guest.sends({ seq: 3 + 2 * i, data: 'x' });
  expect(guest.takesAll().at(-1)!.options.sack?.length ?? 0).toBe(blocks);
  host.gives('text');
  guest.expects({ text: 'text' });
});

describe('urgent data: RFC 9293 3.8.5, RFC 6093 5', () => {
  test.each([0, 1, 3, 4, 65535])('an urgent pointer of %i changes nothing: delivered in line', (urgent) => {
    const { guest, host } = established();
    guest.sends({ flags: 'AU', urgent, data: 'abc' });
    guest.expects({ flags: 'A', ack: 4 });
    guest.sends({ flags: 'AU', urgent });
    guest.expectsNothing();
    guest.sends({ data: 'def' });
    guest.expects({ ack: 7 });
    expect(host.takes()).toBe('abcdef');
  });
});

describe('arena', () => {
  test('without room a segment is dropped unacknowledged, and counted; it is taken when it comes again', () => {
    const peer = established({ arenaBytes: 512 << 10 });
    const { guest, host, arena, account } = peer;
    const blocks: number[] = [];
    for (let at = arena.take(4096, account); at >= 0; at = arena.take(4096, account)) blocks.push(at);
    expect(guest.sends({ data: 'abc' })).toBe(Drop.TcpArenaFull);
    guest.expectsNothing();
    for (const at of blocks) arena.give(at, 4096, account);
    expect(guest.sends({ seq: 1, data: 'abc' })).toBe(Drop.None);
    guest.expects({ ack: 4 });
    expect(host.takes()).toBe('abc');
  });

  test('what came before it in the same turn is acknowledged', () => {
    const peer = established({ arenaBytes: 512 << 10 });
    const { guest, arena, account } = peer;
    guest.sends({ data: 'abc' });
    guest.takesAll();
    for (let at = arena.take(4096, account); at >= 0; ) at = arena.take(4096, account);
    expect(guest.sendsTogether({ data: 'def' }, { data: 'x'.repeat(5000) })).toEqual([
      Drop.None,
      Drop.TcpArenaFull,
    ]);
    guest.expects({ ack: 7 });
  });

  test('a flow that has been empty for a second gives its rings back', () => {
    const { guest, host, account, clock } = established();
    guest.sends({ data: 'abc' });
    host.gives('def');
    guest.takesAll();
    clock.advance(10_000);
    expect(account.used).toBeGreaterThan(0);
    host.takes();
    guest.takesAll();
    guest.sends({});
    clock.advance(2000);
    expect(account.used).toBe(0);
    guest.sends({ data: 'again' });
    expect(host.takes()).toBe('again');
  });
});
