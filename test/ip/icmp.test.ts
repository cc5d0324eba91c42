import { describe, expect, test } from 'vitest';
import { ipv4 } from '../support/raw-frames.ts';
import { RawBench } from '../support/raw-guest.ts';

const GRE = 47;

describe('ICMP errors', () => {
  test('RFC 1812 4.3.2.3: the quote is cut at 576 bytes, and at the MTU where that is less', () => {
    for (const [mtu, payload, length] of [
      [1500, 100, 20 + 8 + 120],
      [1500, 1400, 576],
      [128, 100, 128],
      [68, 40, 68],
    ] as const) {
      const bench = new RawBench({ mtu }, mtu + 14);
      bench.sends(ipv4(Buffer.alloc(payload), { proto: GRE, dst: '198.51.100.1' }));
      const [error] = bench.link.frames;
      expect(error?.readUInt16BE(16)).toBe(length);
      expect([error?.[34], error?.[35]]).toEqual([3, 2]);
      expect(bench.network.stats().losses).toEqual({});
    }
  });
});
