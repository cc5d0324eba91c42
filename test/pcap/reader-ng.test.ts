import { describe, expect, test } from 'vitest';
import { readCapture } from '../../src/pcap/reader.ts';
import { bytes, FRAME, Ng, read, SECONDS } from './reader-bytes.ts';

const little = new Ng();
const big = new Ng(false);
const MICROS = BigInt(SECONDS) * 1_000_000n + 123_456n;
const TIME = '1700000000.123456000';
const Option = { End: 0, Comment: 1, IfName: 2, IfTsResol: 9, IfTsOffset: 14, Flags: 2 } as const;

/** Enough of `ng` that packets of interface 0 may follow. */
function start(ng: Ng, options?: Uint8Array): Uint8Array {
  return bytes(ng.section(), ng.interface(options));
}

describe.each([
  ['little-endian', little],
  ['big-endian', big],
])('%s', (_name, ng) => {
  test('draft-ietf-opsawg-pcapng 4.3: an Enhanced Packet Block', () => {
    const { frames, damage } = read(
      start(ng),
      ng.packet(0, MICROS, FRAME),
      ng.packet(0, MICROS, FRAME.slice(0, 21), { wireLen: 1514 }),
    );
    expect(damage).toBeNull();
    expect(frames).toEqual([
      { number: 1, time: TIME, data: FRAME, wireLen: 60, link: '0 - 1 0', comments: [] },
      { number: 2, time: TIME, data: FRAME.slice(0, 21), wireLen: 1514, link: '0 - 1 0', comments: [] },
    ]);
  });

  test('draft-ietf-opsawg-pcapng 4.4: a Simple Packet Block is of interface 0, has no time and ends at the snap length', () => {
    const { frames, damage } = read(
      ng.section(),
      ng.interface(new Uint8Array(), 1, 20),
      ng.interface(),
      ng.simplePacket(FRAME.slice(0, 20), 60),
      ng.simplePacket(FRAME.slice(0, 19)),
      ng.packet(1, MICROS, FRAME, { options: ng.text(Option.Comment, 'one') }),
      ng.simplePacket(FRAME.slice(0, 20)),
    );
    expect(damage).toBeNull();
    expect(frames.map(({ data, wireLen, time, comments }) => [data.length, wireLen, time, comments])).toEqual(
      [
        [20, 60, '0.000000000', []],
        [19, 19, '0.000000000', []],
        [60, 60, TIME, ['one']],
        [20, 20, '0.000000000', []],
      ],
    );
  });

  test('a Simple Packet Block without a snap length is whole', () => {
    expect(read(start(ng), ng.simplePacket(FRAME)).frames[0]?.data).toEqual(FRAME);
  });

  test('draft-ietf-opsawg-pcapng A: the obsolete Packet Block', () => {
    const { frames, damage } = read(
      start(ng),
      ng.interface(ng.text(Option.IfName, 'second')),
      ng.oldPacket(1, MICROS, FRAME, ng.text(Option.Comment, 'old')),
    );
    expect(damage).toBeNull();
    expect(frames).toEqual([
      { number: 1, time: TIME, data: FRAME, wireLen: 60, link: '1 second 1 0', comments: ['old'] },
    ]);
  });

  test('if_tsresol and if_tsoffset are of each interface', () => {
    const resolution = (value: number): Uint8Array => ng.option(Option.IfTsResol, Uint8Array.of(value));
    const { frames } = read(
      ng.section(),
      ng.interface(resolution(9)),
      ng.interface(bytes(resolution(0x8a), ng.option(Option.IfTsOffset, ng.i64(-1000n)))),
      ng.interface(),
      ng.packet(0, 1_700_000_000_123_456_789n, FRAME),
      ng.packet(1, (BigInt(SECONDS) << 10n) | 512n, FRAME),
      ng.packet(2, MICROS, FRAME),
    );
    expect(frames.map(({ time }) => time)).toEqual(['1700000000.123456789', '1699999000.500000000', TIME]);
  });
});

test('options of another length than theirs are none', () => {
  const options = bytes(
    little.option(Option.IfTsResol, Uint8Array.of(9, 9)),
    little.option(Option.IfTsOffset, Uint8Array.of(1, 1, 1, 1)),
  );
  expect(read(start(little, options), little.packet(0, MICROS, FRAME)).frames[0]?.time).toBe(TIME);
});

test('options behind the end of options are none', () => {
  const options = bytes(
    little.text(Option.Comment, 'before'),
    little.option(Option.End, new Uint8Array()),
    little.text(Option.Comment, 'behind'),
  );
  expect(read(start(little), little.packet(0, MICROS, FRAME, { options })).frames[0]?.comments).toEqual([
    'before',
  ]);
});

test('comments are in their order, other options of a packet are passed over', () => {
  const options = bytes(
    little.text(Option.Comment, 'first'),
    little.option(Option.Flags, little.u32(1)),
    little.text(Option.Comment, ''),
    little.text(Option.Comment, 'Grüße, 你好, \u{1f600}'),
    // No end of options: it may be left out.
  );
  const { frames } = read(
    start(little),
    little.packet(0, MICROS, FRAME, { options }),
    little.packet(0, MICROS, FRAME),
  );
  expect(frames.map(({ comments }) => comments)).toEqual([['first', '', 'Grüße, 你好, \u{1f600}'], []]);
});

test('RFC 3629: what is not UTF-8 is replaced byte by byte', () => {
  const comment = (...value: readonly number[]): string | undefined =>
    read(
      start(little),
      little.packet(0, MICROS, FRAME, { options: little.option(Option.Comment, Uint8Array.from(value)) }),
    ).frames[0]?.comments[0];
  expect(comment(0x61, 0xff, 0x62)).toBe('a\ufffdb');
  expect(comment(0x61, 0xc3)).toBe('a\ufffd');
  // Too long for what it says, a surrogate, beyond the last code point.
  expect(comment(0xc0, 0xaf)).toBe('\ufffd\ufffd');
  expect(comment(0xe0, 0x80, 0xaf)).toBe('\ufffd\ufffd\ufffd');
  expect(comment(0xed, 0xa0, 0x80)).toBe('\ufffd\ufffd\ufffd');
  expect(comment(0xf4, 0x90, 0x80, 0x80)).toBe('\ufffd\ufffd\ufffd\ufffd');
  expect(comment(0xf0, 0x9f, 0x98, 0x80, 0xf0, 0x9f)).toBe('\u{1f600}\ufffd\ufffd');
});

test('of the name of an interface 255 bytes are read, cut between two characters', () => {
  const nameOf = (value: string | Uint8Array): string | null | undefined => {
    const bytesOfIt = typeof value === 'string' ? new Uint8Array(Buffer.from(value)) : value;
    return readCapture(start(little, little.option(Option.IfName, bytesOfIt))).sources[0]?.name;
  };
  const x = (length: number): string => 'x'.repeat(length);
  expect(nameOf(x(255))).toBe(x(255));
  expect(nameOf(x(65_532))).toBe(x(255));
  expect(nameOf(`${x(253)}üü`)).toBe(`${x(253)}ü`);
  expect(nameOf(`${x(254)}ü`)).toBe(x(254));
  expect(nameOf(`${x(252)}\u{1f600}`)).toBe(x(252));
  expect(nameOf(`${x(251)}\u{1f600}`)).toBe(`${x(251)}\u{1f600}`);
  // What is no UTF-8 has no characters to cut between.
  expect(nameOf(new Uint8Array(300).fill(0x80))).toMatch(/^\ufffd{252,255}$/);
});

test('sections have byte orders and interfaces of their own, numbers go on', () => {
  const capture = bytes(
    start(little, little.text(Option.IfName, 'a')),
    little.packet(0, MICROS, FRAME),
    big.section(),
    big.interface(big.text(Option.IfName, 'b'), 101, 96),
    big.interface(),
    big.packet(1, MICROS, FRAME),
    big.packet(0, MICROS, FRAME),
    little.section(1, 2),
    little.interface(),
    little.packet(0, MICROS, FRAME),
  );
  const { frames, damage } = read(capture);
  expect(damage).toBeNull();
  expect(frames.map(({ number, link, time }) => `${number}: ${link} ${time}`)).toEqual([
    `1: 0 a 1 0 ${TIME}`,
    `2: 2 - 1 0 ${TIME}`,
    `3: 1 b 101 96 ${TIME}`,
    `4: 3 - 1 0 ${TIME}`,
  ]);
  expect(readCapture(capture).sources.map(({ index, name }) => [index, name])).toEqual([
    [0, 'a'],
    [1, 'b'],
    [2, null],
    [3, null],
  ]);
});

test('blocks that are not known are passed over, however long', () => {
  const { frames, damage } = read(
    start(little),
    // Name resolution, interface statistics, one of nobody's, one of no bytes.
    little.block(4, new Uint8Array(20)),
    little.packet(0, MICROS, FRAME),
    little.block(5, new Uint8Array(300)),
    little.block(0x8000_0001, new Uint8Array(2_000_000)),
    little.block(0x99, new Uint8Array(0)),
    little.packet(0, MICROS, FRAME),
  );
  expect(damage).toBeNull();
  expect(frames.map(({ number }) => number)).toEqual([1, 2]);
});

test('a block whose length is no multiple of four is padded all the same', () => {
  const odd = bytes(little.u32(0x99, 17), new Uint8Array(8), little.u32(17));
  expect(read(start(little), odd, little.packet(0, MICROS, FRAME)).frames.length).toBe(1);
});

test('a section without interfaces or packets', () => {
  expect(read(little.section())).toEqual({ frames: [], damage: null });
});
