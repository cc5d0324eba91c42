import { describe, expect, test } from 'vitest';
import { pattern, textOf } from '../support/segment-bytes.ts';
import { established } from '../support/tcp-peer.ts';

describe.each([
  ['around 2^32', 0xffffff00 | 0],
  ['around 2^31', 0x7fffff00],
])('RFC 9293 3.4: sequence numbers %s', (_name, isn) => {
  test('two megabytes each way', () => {
    const { guest, host, tcb } = established({ iss: isn, irs: isn, timestamps: true });
    const whole = textOf(pattern(2 << 20));
    let [down, up] = [0, ''];
    for (let at = 0; at < whole.length || down < whole.length; ) {
      const given = whole.slice(at, at + 32_768);
      at += given.length;
      host.gives(Uint8Array.from(given, (char) => char.charCodeAt(0)));
      for (let turn = 0; tcb.sendRing.length > 0 && turn < 100; turn++) {
        for (const sent of guest.takesAll()) {
          if (sent.len === 0) continue;
          expect(sent.seq).toBe(1 + down);
          expect(sent.text === whole.slice(down, down + sent.len)).toBe(true);
          down += sent.len;
        }
        guest.sends({});
      }
      for (let from = up.length; from < at; from += 1448)
        guest.sends({ data: pattern(Math.min(1448, at - from), from) });
      up += host.takes();
    }
    expect(up === whole).toBe(true);
    expect(down).toBe(whole.length);
  });

  test('out of order, retransmitted and closed across the edge', () => {
    const { guest, host, tcb, clock } = established({ iss: isn, irs: isn });
    guest.sends({ seq: 201, data: pattern(200, 200), flags: 'FA' });
    guest.expects({ ack: 1 });
    guest.sends({ seq: 1, data: pattern(200) });
    guest.expects({ ack: 402 });
    expect(host.takes()).toBe(textOf(pattern(400)));
    host.gives(pattern(600));
    guest.expects({ seq: 1, len: 600 });
    clock.advance(tcb.rtt.rto);
    guest.expects({ seq: 1, len: 600, text: textOf(pattern(600)) });
    guest.sends({ ack: 300 });
    host.closes();
    guest.expects({ flags: 'FA', seq: 601 });
    guest.sends({ ack: 602 });
    expect(host.reason).toBe('normal');
  });
});
