import { describe, expect, test } from 'vitest';
import { pattern } from '../support/segment-bytes.ts';
import { established } from '../support/tcp-peer.ts';

describe('the window we advertise', () => {
  test('a host that does not read closes it; nothing is lost', () => {
    const { guest, host } = established({ windShift: -1 });
    const sent: string[] = [];
    for (let seq = 1; seq + 1000 <= 65536; seq += 1000) {
      const data = 'x'.repeat(1000);
      guest.sends({ data });
      sent.push(data);
    }
    expect(guest.takesAll().at(-1)!.wnd).toBe(535);
    guest.sends({ data: 'y'.repeat(535) });
    guest.expects({ ack: 65536, wnd: 0 });
    expect(host.takes()).toBe(sent.join('') + 'y'.repeat(535));
    guest.expects({ flags: 'A', ack: 65536, wnd: 65535 });
  });

  test('RFC 9293 3.8.6.2.2: it does not reopen by crumbs', () => {
    const { guest, host } = established({ flowBytes: 4096, windShift: -1 });
    guest.sends({ data: 'x'.repeat(4096) });
    guest.expects({ wnd: 0 });
    host.takes(1000);
    guest.expectsNothing();
    host.takes(1000);
    guest.expectsNothing();
    host.takes(48);
    guest.expects({ flags: 'A', ack: 4097, wnd: 2048 });
    host.takes();
    guest.expects({ wnd: 4096 });
  });

  test('RFC 9293 3.8.6.2.2 (MUST-39): an ACK does not offer crumbs either', () => {
    const { guest, host } = established({ flowBytes: 4096, windShift: -1 });
    guest.sends({ data: 'x'.repeat(4096) });
    guest.expects({ wnd: 0 });
    host.takes(100);
    guest.sends({ data: 'y' });
    guest.expects({ ack: 4097, wnd: 0 });
    host.takes(1360);
    guest.sends({ seq: 4097, data: 'y' });
    guest.expects({ ack: 4097, wnd: 1460 });
  });

  test.each([1, 7, 100, 1000])(
    'RFC 7323 2.4: segments of %i bytes fill a scaled window to its end',
    (size) => {
      const { guest, host, tcb } = established({
        flowBytes: 4 << 20,
        mtu: 576,
        mss: 536,
        arenaBytes: 32 << 20,
      });
      for (let i = 0; i < 200; i++) {
        guest.sends({ data: pattern(32_768) });
        host.takes();
      }
      guest.takesAll();
      expect(tcb.rcvLimit).toBe(4 << 20);
      while (tcb.recvRing.room > 3000) {
        const { room } = tcb.recvRing;
        guest.sends({ data: pattern(Math.min(60_000, room - 2000)) });
        expect(tcb.recvRing.room).toBeLessThan(room);
      }
      let wnd = guest.takesAll().at(-1)!.wnd << tcb.rcvWindShift;
      for (let turn = 0; wnd > 0 && turn < 10_000; turn++) {
        const before = tcb.rcvNxt;
        guest.sends({ data: pattern(Math.min(size, wnd)) });
        expect((tcb.rcvNxt - before) | 0).toBe(Math.min(size, wnd));
        wnd = guest.takesAll().at(-1)!.wnd << tcb.rcvWindShift;
      }
      expect(wnd).toBe(0);
      expect(tcb.recvRing.room).toBeLessThan(128);
    },
  );

  test('windows beyond 64 KiB are usable, and the limit grows with what is delivered', () => {
    const { guest, host, tcb } = established({ flowBytes: 1 << 20 });
    let widest = 0;
    for (let i = 0; i < 3000; i++) {
      guest.sends({ data: pattern(1460) });
      host.takes();
      for (const sent of guest.takesAll()) widest = Math.max(widest, sent.wnd << tcb.rcvWindShift);
    }
    expect(widest).toBeGreaterThan((1 << 20) - 2000);
    expect(tcb.rcvLimit).toBe(1 << 20);
  });

  test('RFC 7323 2.2: the window of a SYN-ACK is not scaled', () => {
    const { tcb } = established({ flowBytes: 4 << 20 });
    expect(tcb.rcvWindShift).toBe(7);
    expect((tcb.rcvAdv - tcb.rcvNxt) | 0).toBe(65535);
  });

  test('without window scaling 65535 is the most', () => {
    const { guest, host } = established({ windShift: -1, flowBytes: 1 << 20 });
    for (let i = 0; i < 500; i++) {
      guest.sends({ data: pattern(1460) });
      host.takes();
    }
    expect(Math.max(...guest.takesAll().map((sent) => sent.wnd))).toBe(65535);
  });
});

test('RFC 9293 3.10.7.4 first: an ACK at the right edge of the window is taken', () => {
  const { guest, host, tcb } = established({ flowBytes: 4096, windShift: -1 });
  host.gives('hello');
  guest.takesAll();
  // Four segments of 1024 fill the window, the first is lost.
  for (let seq = 1025; seq < 4097; seq += 1024) guest.sends({ seq, ack: 1, data: 'x'.repeat(1024) });
  guest.takesAll();
  guest.sends({ seq: 4097, ack: 6 });
  expect(tcb.sendRing.length).toBe(0);
  guest.expectsNothing();
});

describe("the peer's window", () => {
  test('is scaled and obeyed', () => {
    const { guest, host } = established({ windShift: 3, wnd: 500 });
    host.gives('x'.repeat(10_000));
    expect(guest.takesAll().reduce((sum, sent) => sum + sent.len, 0)).toBe(2 * 1460);
    guest.sends({ ack: 1 + 2920 });
    expect(guest.takesAll().map((sent) => [sent.seq, sent.len])).toEqual([
      [2921, 1460],
      [4381, 1460],
    ]);
  });

  test('RFC 9293 3.8.6.2.1: no small segment because of a narrow window', () => {
    const { guest, host } = established({ windShift: -1, wnd: 4000 });
    host.gives('x'.repeat(10_000));
    expect(guest.takesAll().map((sent) => sent.len)).toEqual([1460, 1460]);
    // 1080 bytes are left of the window: the rest waits until it is wider.
    guest.sends({ ack: 1461, wnd: 2540 });
    guest.expectsNothing();
    guest.sends({ ack: 2921, wnd: 4000 });
    expect(guest.takesAll().map((sent) => sent.len)).toEqual([1460, 1460]);
  });

  test('a window that is always smaller than one MSS does not freeze the flow', () => {
    const { guest, host, clock } = established({ windShift: -1, wnd: 100 });
    host.gives(pattern(1000));
    let got = '';
    for (let i = 0; i < 10; i++) {
      const { seq, text } = guest.expects({ flags: 'A', len: 100 });
      expect(seq).toBe(1 + got.length);
      got += text;
      guest.sends({});
    }
    guest.expectsNothing();
    expect(clock.now()).toBe(0);
    expect(got.length).toBe(1000);
  });

  test('nor does one that was wide once: what it takes goes out each RTO', () => {
    const { guest, host, tcb, clock } = established({ windShift: -1, wnd: 65535 });
    guest.sends({ data: 'x', wnd: 100 });
    guest.takesAll();
    host.gives(pattern(1000));
    guest.expectsNothing();
    for (let i = 0; i < 9; i++) {
      clock.advance(tcb.rtt.rto);
      guest.expects({ seq: 1 + 100 * i, len: 100 });
      guest.sends({ wnd: 100 });
    }
    // The last of it is all there is, and need not wait.
    guest.expects({ seq: 901, len: 100 });
  });

  test('RFC 9293 3.8.6.1 (MUST-36, 37): a closed window is probed after one RTO, then ever more slowly', () => {
    const { guest, host, clock, tcb } = established({ wnd: 0 });
    host.gives('hello');
    guest.expectsNothing();
    let wait = tcb.rtt.rto;
    for (let i = 0; i < 12; i++) {
      clock.advance(wait - 1);
      guest.expectsNothing();
      clock.advance(1);
      guest.expects({ seq: 1, len: 1, text: 'h' });
      guest.sends({ ack: 1 });
      guest.expectsNothing();
      wait = Math.min(2 * wait, 60_000);
    }
    expect(tcb.state).toBe('ESTABLISHED');
    guest.sends({ ack: 1, wnd: 1000 });
    guest.expects({ seq: 1, text: 'hello' });
  });

  // Seed 11737 of the simulation: an ACK that waited for the link put the probe off by a minute, each time.
  test('a link without room does not put the probe off', () => {
    const { guest, host, clock, tcb, wire } = established({ wnd: 0 });
    host.gives('hello');
    const due = tcb.persistAt;
    clock.advanceTo(due - 1);
    wire.room = 0;
    guest.sends({ data: 'x' });
    guest.expectsNothing();
    expect(tcb.persistAt).toBe(due);
    host.linkIsWritable();
    guest.expects({ len: 0, ack: 2 });
    clock.advanceTo(due);
    guest.expects({ len: 1 });
  });

  test('a guest that answers no probe for minutes is given up; one that answers is not', () => {
    for (const answers of [true, false]) {
      const { guest, host, clock } = established({ wnd: 0 });
      host.gives('hello');
      for (let minute = 0; minute < 60; minute++) {
        clock.advance(60_000);
        for (const sent of guest.takesAll()) if (answers && sent.flags === 'A') guest.sends({ ack: 1 });
        guest.takesAll();
        if (minute === 2) expect(host.reason).toBe(null);
      }
      expect(host.reason).toBe(answers ? null : 'timed-out');
    }
  });

  test('a probe that is taken moves the flow on', () => {
    const { guest, host, tcb, clock } = established({ wnd: 0 });
    host.gives('hello');
    clock.advance(tcb.rtt.rto);
    guest.expects({ text: 'h' });
    guest.sends({ ack: 2, wnd: 0 });
    guest.expectsNothing();
    clock.advance(tcb.rtt.rto);
    guest.expects({ seq: 2, text: 'e' });
    guest.sends({ ack: 3, wnd: 65535 });
    guest.expects({ seq: 3, text: 'llo' });
  });

  test('a FIN behind a closed window is the probe', () => {
    const { guest, host, clock, tcb } = established({ wnd: 0 });
    host.closes();
    guest.expectsNothing();
    clock.advance(1000);
    guest.expects({ flags: 'FA', seq: 1, len: 0 });
    guest.sends({});
    expect(tcb.state).toBe('FIN-WAIT-2');
  });

  test('a window that closes over data in flight: probes, and the connection lives', () => {
    const { guest, host, clock, tcb } = established();
    host.gives('x'.repeat(3000));
    guest.takesAll();
    guest.sends({ ack: 1, wnd: 0 });
    for (let i = 0; i < 30; i++) {
      clock.advance(60_000);
      for (const _ of guest.takesAll()) guest.sends({ ack: 1, wnd: 0 });
    }
    expect(tcb.state).toBe('ESTABLISHED');
    guest.sends({ ack: 1, wnd: 1000 });
    expect(guest.takesAll()[0]).toMatchObject({ seq: 1 });
  });

  test('the window of text sent again counts where it acknowledges more', () => {
    const { guest, host, tcb } = established({ windShift: -1, wnd: 10_000 });
    guest.sends({ data: 'ab' });
    guest.sends({ data: 'cd' });
    host.gives(pattern(30_000));
    const sent = guest.takesAll().reduce((sum, { len }) => sum + len, 0);
    expect(sent).toBeLessThanOrEqual(10_000);
    guest.sends({ seq: 2, data: 'bcde', ack: 1461, wnd: 8540 });
    expect((tcb.sndUna + tcb.sndWnd - tcb.iss) | 0).toBe(10_001);
  });

  test('a window narrower than before, and an old one, are taken as RFC 9293 3.10.7.4 says', () => {
    const { guest, tcb } = established();
    guest.sends({ data: 'ab', wnd: 100 });
    expect(tcb.sndWnd).toBe(12_800);
    guest.sends({ seq: 1, data: 'a', wnd: 500 });
    expect(tcb.sndWnd).toBe(12_800);
    guest.sends({ seq: 3, wnd: 50 });
    expect(tcb.sndWnd).toBe(6400);
  });
});

describe('a window that opens little by little', () => {
  test('RFC 9293 3.8.6.2.1: what waits for more is sent within a timeout, however often the window moves', () => {
    const { guest, host, clock, tcb } = established({ wnd: 0 });
    host.gives(pattern(5000));
    const from = clock.now();
    let wnd = 0;
    while (guest.takesAll().length === 0 && clock.now() - from < 20_000) {
      clock.advance(100);
      wnd += 10;
      guest.sends({ ack: 1, wnd });
    }
    expect(clock.now() - from).toBeLessThanOrEqual(2 * tcb.rtt.rto + 100);
  });

  test('a probe that waited for the link is none any more when the window has opened', () => {
    const { guest, host, clock, wire, counters } = established({ sackPermitted: true });
    guest.sends({ wnd: 0 });
    host.gives(pattern(3 * 1460));
    wire.room = 0;
    clock.advance(2000);
    guest.sends({ wnd: 65535 });
    host.linkIsWritable();
    expect(guest.takesAll().map(({ seq }) => seq)).toEqual([1, 1461, 2921]);
    expect(counters.retransmits).toBe(0);
  });

  test('what a probe of a closed window carried counts as sent again only when it is sent again', () => {
    const { guest, host, clock, counters } = established({ sackPermitted: true });
    guest.sends({ wnd: 0 });
    host.gives(pattern(3 * 1460));
    clock.advance(1100);
    expect(guest.takesAll().map(({ len }) => len)).toContain(1);
    guest.sends({ ack: 1, wnd: 65535 });
    expect(guest.takesAll().length).toBe(3);
    expect([counters.retransmits, counters.retransmittedBytes]).toEqual([0, 0]);
  });
});

test('RFC 9293 3.10.7.4 fifth: text that is partly new, but older than what said the window last, does not say it again', () => {
  const { guest, host, tcb } = established();
  guest.sends({ data: '0123456789' });
  guest.sends({ wnd: 300 });
  expect(tcb.sndWnd).toBe(300 << tcb.sndWindShift);
  guest.sends({ seq: 5, data: '456789abcde', wnd: 200 });
  expect(host.takes()).toBe('0123456789abcde');
  expect(tcb.sndWnd).toBe(300 << tcb.sndWindShift);
});
