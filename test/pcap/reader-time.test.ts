import fc from 'fast-check';
import { expect, test } from 'vitest';
import { CaptureTime } from '../../src/pcap/reader-time.ts';

const BILLION = 1_000_000_000n;
const u32 = fc.integer({ min: 0, max: 0xffff_ffff });
const anyResolution = fc.integer({ min: 0, max: 255 });
/** Where carries and borrows happen. */
const edge = fc.constantFrom(0, 1, 0xffff, 0x10000, 0x7fff_ffff, 0x8000_0000, 0xffff_0000, 0xffff_ffff);

/** Nanoseconds since 1970, rounded down. */
function expected(resolution: number, hi: number, lo: number): bigint {
  const time = (BigInt(hi) << 32n) | BigInt(lo);
  const n = BigInt(resolution & 0x7f);
  return (time * BILLION) / (resolution & 0x80 ? 1n << n : 10n ** n);
}

function readTime(resolution: number, hi: number, lo: number, offset = 0): CaptureTime {
  const time = new CaptureTime(resolution, offset);
  time.read(hi, lo);
  return time;
}

test('draft-ietf-opsawg-pcapng 4.2: exact for every if_tsresol', () => {
  const word = fc.oneof(u32, edge);
  fc.assert(
    fc.property(anyResolution, word, word, (resolution, hi, lo) => {
      const time = readTime(resolution, hi, lo);
      const whole = expected(resolution, hi, lo);
      expect(BigInt(time.nanoseconds)).toBe(whole % BILLION);
      // Beyond 2^53 seconds, 285 million years, the nearest number.
      expect(time.seconds).toBe(Number(whole / BILLION));
    }),
    { numRuns: 5000, seed: 4 },
  );
});

test('every if_tsresol at every edge', () => {
  const edges = [0, 1, 999_999, 0xffff, 0x10000, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff];
  for (let resolution = 0; resolution < 256; resolution++) {
    for (const hi of edges) {
      for (const lo of edges) {
        const time = readTime(resolution, hi, lo);
        const whole = expected(resolution, hi, lo);
        const seen = [time.seconds, time.nanoseconds];
        expect(seen, `${resolution} ${hi} ${lo}`).toEqual([Number(whole / BILLION), Number(whole % BILLION)]);
      }
    }
  }
});

test('if_tsoffset is added to the seconds, and may lead before 1970', () => {
  const time = readTime(3, 0, 1500, -1000);
  expect([time.seconds, time.nanoseconds]).toEqual([-999, 500_000_000]);
});
