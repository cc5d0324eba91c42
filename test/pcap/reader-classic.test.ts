import { expect, test } from 'vitest';
import { readCapture } from '../../src/pcap/reader.ts';
import { bytes, Classic, FRAME, read, SECONDS } from './reader-bytes.ts';

const little = new Classic();
const big = new Classic(false);
const MICRO = 0xa1b2c3d4;
const NANO = 0xa1b23c4d;
const KUZNETZOV = 0xa1b2cd34;

test.each([
  ['microseconds, little-endian', little, MICRO, 123_456, '1700000000.123456000'],
  ['microseconds, big-endian', big, MICRO, 123_456, '1700000000.123456000'],
  ['nanoseconds, little-endian', little, NANO, 123_456_789, '1700000000.123456789'],
  ['nanoseconds, big-endian', big, NANO, 123_456_789, '1700000000.123456789'],
])('draft-ietf-opsawg-pcap 4, 5: %s', (_name, file, magic, fraction, time) => {
  const { frames, damage } = read(
    file.header({ magic }),
    file.record(SECONDS, fraction, FRAME),
    file.record(SECONDS + 1, 0, FRAME.slice(0, 20), 1514),
  );
  expect(damage).toBeNull();
  const link = '0 - 1 65535';
  expect(frames).toEqual([
    { number: 1, time, data: FRAME, wireLen: 60, link, comments: [] },
    { number: 2, time: '1700000001.000000000', data: FRAME.slice(0, 20), wireLen: 1514, link, comments: [] },
  ]);
});

test('a record of the patched libpcap of 1999 has eight bytes more in its header', () => {
  for (const file of [little, big]) {
    const head = (wireLen: number): Uint8Array => file.u32(SECONDS, 5, 60, wireLen, 3, 0x08000000);
    const { frames, damage } = read(
      file.header({ magic: KUZNETZOV }),
      ...[head(60), FRAME],
      ...[head(70), FRAME],
    );
    expect(damage).toBeNull();
    expect(frames.map(({ data, wireLen, time }) => [data, wireLen, time])).toEqual([
      [FRAME, 60, '1700000000.000005000'],
      [FRAME, 70, '1700000000.000005000'],
    ]);
  }
});

test('seconds are unsigned: 2106', () => {
  expect(read(little.header(), little.record(0xffff_ffff, 999_999, FRAME)).frames[0]?.time).toBe(
    '4294967295.999999000',
  );
});

test('a fraction of more than a second is carried', () => {
  const times = (magic: number, fraction: number): string | undefined =>
    read(little.header({ magic }), little.record(SECONDS, fraction, FRAME)).frames[0]?.time;
  expect(times(MICRO, 1_000_000)).toBe('1700000001.000000000');
  expect(times(MICRO, 0xffff_ffff)).toBe('1700004294.967295000');
  expect(times(NANO, 999_999_999)).toBe('1700000000.999999999');
  expect(times(NANO, 0xffff_ffff)).toBe('1700000004.294967295');
});

test('before version 2.3 the lengths are the other way round, in 2.3 perhaps', () => {
  const lengths = (version: readonly [number, number], first: number, second: number): unknown => {
    const { frames, damage } = read(little.header({ version }), little.u32(SECONDS, 0, first, second), FRAME);
    return damage ?? frames.map(({ data, wireLen }) => [data.length, wireLen]);
  };
  expect(lengths([2, 2], 70, 60)).toEqual([[60, 70]]);
  expect(lengths([2, 3], 70, 60)).toEqual([[60, 70]]);
  expect(lengths([2, 3], 60, 70)).toEqual([[60, 70]]);
  // DG/UX.
  expect(lengths([543, 0], 70, 60)).toEqual([[60, 70]]);
  expect(lengths([2, 5], 60, 70)).toEqual([[60, 70]]);
});

test('a record longer than its frame, and than the snap length, is taken as it is', () => {
  const { frames, damage } = read(little.header({ snapLen: 16 }), little.record(SECONDS, 0, FRAME, 10));
  expect(damage).toBeNull();
  expect(frames.map(({ data, wireLen, link }) => [data.length, wireLen, link])).toEqual([
    [60, 10, '0 - 1 16'],
  ]);
});

test('frames of no bytes, and of the most there may be', () => {
  const { frames, damage } = read(
    little.header(),
    little.record(SECONDS, 0, new Uint8Array(0), 60),
    little.record(SECONDS, 0, new Uint8Array(262_144).fill(7)),
  );
  expect(damage).toBeNull();
  expect(frames.map(({ data }) => data.length)).toEqual([0, 262_144]);
});

test('the link type is without what the header says of the FCS', () => {
  const { sources } = readCapture(little.header({ linkType: 0x2400_0001 }));
  expect(sources).toEqual([{ index: 0, linkType: 1, snapLen: 65535, name: null }]);
  expect(readCapture(big.header({ linkType: 101 })).sources[0]?.linkType).toBe(101);
});

test('a capture without frames is none the worse', () => {
  expect(read(little.header())).toEqual({ frames: [], damage: null });
});

test('frames that are kept are copies, of a Buffer too', () => {
  const file = Buffer.from(bytes(little.header(), little.record(SECONDS, 0, FRAME)));
  const { frames } = readCapture(file);
  file.fill(0);
  expect(frames[0]?.bytes).toEqual(FRAME);
});
