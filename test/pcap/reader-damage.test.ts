import { describe, expect, test } from 'vitest';
import { CaptureReader } from '../../src/pcap/reader.ts';
import { heapInUse } from '../support/heap.ts';
import { bytes, Classic, FRAME, Ng, read, readInPieces, SECONDS } from './reader-bytes.ts';

const classic = new Classic();
const ng = new Ng();
const TIME = BigInt(SECONDS) * 1_000_000n;
/** Header and one record: what is behind begins at byte 100. */
const CLASSIC = bytes(classic.header(), classic.record(SECONDS, 0, FRAME));
/** Section, interface and one packet: what is behind begins at byte 140. */
const NG = bytes(ng.section(), ng.interface(), ng.packet(0, TIME, FRAME));

/** What is read of `file`, in one piece and byte by byte: frames, and the damage. */
function outcome(file: Uint8Array): string {
  const whole = read(file);
  const byBytes = readInPieces(
    file,
    file.length > 10_000 ? [file.length >> 1] : Array.from(file, (_, i) => i),
  );
  expect(byBytes).toEqual(whole);
  const { frames, damage } = whole;
  return `${frames.length} frames, ${damage === null ? 'whole' : `${damage.offset}: ${damage.reason}`}`;
}

describe('what is no capture', () => {
  test.each([
    ['nothing', new Uint8Array(0), 'empty, not a capture'],
    ['less than a magic number', Uint8Array.of(0xd4, 0xc3, 0xb2), 'not a capture: 3 bytes long'],
    ['text', new Uint8Array(Buffer.from('hello, world')), 'not a capture: it begins with 0x68656c6c'],
    ['zeros', new Uint8Array(100), 'not a capture: it begins with 0x00000000'],
    ['gzip', Uint8Array.of(0x1f, 0x8b, 8, 0), 'compressed by gzip; only plain captures are read'],
    ['zstd', Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd), 'compressed by zstd; only plain captures are read'],
    ['xz', Uint8Array.of(0xfd, 0x37, 0x7a, 0x58), 'compressed by xz; only plain captures are read'],
    ['lz4', Uint8Array.of(4, 0x22, 0x4d, 0x18), 'compressed by lz4; only plain captures are read'],
    ['version 1', classic.header({ version: [1, 0] }), 'version 1.0 of the format is not known'],
    ['version 3', classic.header({ version: [3, 4] }), 'version 3.4 of the format is not known'],
    ['pcapng 2', ng.section(2, 0), 'version 2.0 of the format is not known'],
    ['pcapng 1.1', ng.section(1, 1), 'version 1.1 of the format is not known'],
    [
      'a section in no byte order',
      ng.block(0x0a0d0d0a, new Uint8Array(16)),
      'a section without its byte-order magic',
    ],
  ])('%s', (_name, file, reason) => {
    expect(outcome(file)).toBe(`0 frames, 0: ${reason}`);
  });
});

test('a file that ends at any byte keeps what came before, and says where the last record began', () => {
  const file = bytes(CLASSIC, classic.record(SECONDS, 0, FRAME));
  for (let len = 4; len < file.length; len++) {
    const start = len < 24 ? 0 : len < 100 ? 24 : 100;
    const place = `${start}: the file ends inside a ${len < 24 ? 'file header' : 'record'}, ${len - start} bytes behind its beginning`;
    const frames = len < 100 ? 0 : 1;
    expect(outcome(file.slice(0, len))).toBe(`${frames} frames, ${len === start ? 'whole' : place}`);
  }
});

test('the same of pcapng, blocks that are passed over included', () => {
  const file = bytes(NG, ng.block(0x99, new Uint8Array(40)), ng.packet(0, TIME, FRAME));
  const starts = [0, 28, 48, 140, 192, file.length];
  for (let len = 4; len < file.length; len++) {
    const start = Math.max(...starts.filter((at) => at <= len));
    const place = `${start}: the file ends inside a block, ${len - start} bytes behind its beginning`;
    const frames = len < 140 ? 0 : 1;
    expect(outcome(file.slice(0, len))).toBe(`${frames} frames, ${len === start ? 'whole' : place}`);
  }
});

describe('classic records that cannot be', () => {
  test.each([
    ['the least too long', 262_145],
    ['the most', 0xffff_ffff],
  ])('%s', (_name, len) => {
    const record = bytes(classic.u32(SECONDS, 0, len, len), new Uint8Array(300_000));
    expect(outcome(bytes(CLASSIC, record))).toBe(`1 frames, 100: a record of ${len} bytes, more than 262144`);
  });
});

describe('pcapng blocks that cannot be', () => {
  const packet = (len: number, data = FRAME): Uint8Array => ng.packet(0, TIME, data, { len });
  const cases: readonly (readonly [string, Uint8Array, string])[] = [
    ['shorter than its own lengths', ng.u32(0x99, 8, 8, 8), 'a block of type 153 with a length of 8'],
    ['of length zero', ng.u32(6, 0, 0, 0), 'a block of type 6 with a length of 0'],
    ['a packet without its fields', ng.block(6, new Uint8Array(16)), 'a block of type 6 with a length of 28'],
    [
      'an interface without its fields',
      ng.block(1, new Uint8Array(4)),
      'a block of type 1 with a length of 16',
    ],
    [
      'a packet too long for the block that we hold',
      bytes(ng.u32(6, 1_048_580), new Uint8Array(100)),
      'a block of 1048580 bytes, more than 1048576',
    ],
    [
      'two lengths that differ',
      ng.block(6, new Uint8Array(40), 48),
      'a block of length 52 in front and 48 behind',
    ],
    [
      'two lengths that differ, of a block that nobody reads',
      ng.block(0x99, new Uint8Array(40), 48),
      'a block of length 52 in front and 48 behind',
    ],
    ['a packet longer than any', packet(262_145), 'a packet of 262145 bytes, more than 262144'],
    ['a packet longer than its block', packet(61), 'a packet of 61 bytes in a block with room for 60'],
    [
      'a simple packet longer than its block',
      ng.simplePacket(FRAME, 64),
      'a packet of 64 bytes in a block with room for 60',
    ],
    [
      'a packet of no interface',
      ng.packet(1, TIME, FRAME),
      'a packet of interface 1, which was not announced',
    ],
    [
      'an old packet of no interface',
      ng.oldPacket(7, TIME, FRAME),
      'a packet of interface 7, which was not announced',
    ],
    [
      'an option of a packet that is too long',
      ng.packet(0, TIME, FRAME, { options: bytes(ng.u16(1, 5), new Uint8Array(4)) }),
      'an option of 5 bytes that goes beyond its block',
    ],
    [
      'an option of an interface that is too long',
      ng.interface(bytes(ng.u16(2, 400), new Uint8Array(4))),
      'an option of 400 bytes that goes beyond its block',
    ],
    [
      'a section without its byte-order magic',
      ng.block(0x0a0d0d0a, new Uint8Array(16)),
      'a section without its byte-order magic',
    ],
  ];
  test.each(cases)('%s', (_name, block, reason) => {
    expect(outcome(bytes(NG, block, ng.packet(0, TIME, FRAME)))).toBe(`1 frames, 140: ${reason}`);
  });
});

test('a packet before any interface, and one of an interface of the section before', () => {
  expect(outcome(bytes(ng.section(), ng.packet(0, TIME, FRAME)))).toBe(
    '0 frames, 28: a packet of interface 0, which was not announced',
  );
  expect(outcome(bytes(NG, ng.section(), ng.simplePacket(FRAME)))).toBe(
    '1 frames, 168: a packet of interface 0, which was not announced',
  );
});

test('more interfaces than there is memory for', () => {
  const reader = new CaptureReader(() => {});
  reader.push(ng.section());
  const thousand = Buffer.concat(Array.from({ length: 1024 }, () => ng.interface()));
  for (let i = 0; i < 16; i++) reader.push(thousand);
  expect(reader.isDamaged).toBe(false);
  reader.push(ng.interface());
  expect(reader.isDamaged).toBe(true);
  expect(reader.end()).toEqual({ offset: 28 + 16_384 * 20, reason: 'more than 16384 interfaces' });
});

test('long names of interfaces are not kept', async () => {
  const reader = new CaptureReader(() => {});
  const named = ng.interface(ng.option(2, new Uint8Array(65_532).fill(0x78)));
  reader.push(bytes(ng.section(), named));
  const before = await heapInUse();
  for (let i = 0; i < 512; i++) reader.push(named);
  expect((await heapInUse()).all - before.all).toBeLessThan(1 << 20);
  expect(reader.end()).toBeNull();
});

test('nothing is held by what a block claims to be', () => {
  const reader = new CaptureReader(() => {});
  reader.push(NG);
  reader.push(ng.u32(0x99, 0xffff_fffc));
  const piece = new Uint8Array(1 << 20);
  const before = process.memoryUsage().arrayBuffers;
  for (let i = 0; i < 256; i++) reader.push(piece);
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(8 << 20);
  expect(reader.end()).toEqual({
    offset: 140,
    reason: `the file ends inside a block, ${8 + 256 * 2 ** 20} bytes behind its beginning`,
  });
});

test('behind the damage nothing is read, and the first damage stays', () => {
  const seen: number[] = [];
  const reader = new CaptureReader((frame) => seen.push(frame.number));
  reader.push(CLASSIC);
  reader.push(classic.u32(SECONDS, 0, 0xffff_ffff, 0));
  reader.push(classic.record(SECONDS, 0, FRAME));
  expect(reader.end()).toEqual({ offset: 100, reason: 'a record of 4294967295 bytes, more than 262144' });
  expect(seen).toEqual([1]);
});
