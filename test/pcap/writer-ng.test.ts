import { describe, expect, test } from 'vitest';
import { Drop, dropNames } from '../../src/base/drop.ts';
import { memoryOver } from '../../src/base/memory.ts';
import { readCapture } from '../../src/pcap/reader.ts';
import type { FrameOrigin } from '../../src/pcap/writer.ts';
import { type PcapNgOptions, PcapNgWriter } from '../../src/pcap/writer-ng.ts';
// From where a program has it that gives frames comments.
import { utf8Bytes } from '../../src/pcap.ts';
import { hex } from '../support/frames.ts';

const FRAME = memoryOver(hex('ee 01 02 03 04 05 ee'));
const FROM_GUEST: FrameOrigin = { interfaceId: 0, direction: 'from-guest', comment: null };
/** 2020-07-04 04:20:16 UTC. */
const SECONDS = 0x5f000000;

/** The record of the five bytes in FRAME, and nothing besides it. */
function record(writer: PcapNgWriter, wallMs: number, origin: FrameOrigin = FROM_GUEST): Uint8Array {
  const into = memoryOver(new Uint8Array(200).fill(0xaa));
  const end = writer.record(into, 2, FRAME, 1, 5, wallMs, origin);
  expect(end).toBe(2 + writer.recordLen(5, origin.comment));
  expect([...into.bytes.subarray(0, 2), into.bytes[end]]).toEqual([0xaa, 0xaa, 0xaa]);
  return into.bytes.slice(2, end);
}

/** A capture in the making, as long as a test needs. */
class Bench {
  readonly memory = memoryOver(new Uint8Array(1 << 16).fill(0xaa));
  readonly writer: PcapNgWriter;
  end = 0;

  constructor(options: PcapNgOptions = {}) {
    this.writer = new PcapNgWriter(options);
    this.add(this.writer.header());
  }

  add(block: Uint8Array): void {
    this.memory.bytes.set(block, this.end);
    this.end += block.length;
  }

  /** Where the record begins. */
  record(off: number, len: number, origin: FrameOrigin = FROM_GUEST): number {
    const at = this.end;
    this.end = this.writer.record(this.memory, at, FRAME, off, len, 1000 * SECONDS, origin);
    return at;
  }

  drop(at: number, drop: Drop): void {
    this.end += this.writer.addDrop(this.memory, at, this.end, drop);
  }

  read(): ReturnType<typeof readCapture> {
    expect(this.memory.bytes[this.end]).toBe(0xaa);
    return readCapture(this.memory.bytes.subarray(0, this.end));
  }
}

describe('draft-ietf-opsawg-pcapng, byte by byte, little-endian', () => {
  test('4.1: the section, of a length that nobody knows, with who wrote it', () => {
    expect(new PcapNgWriter({ application: 'usernet 1.2.3' }).header()).toEqual(
      hex(`0a0d0d0a 34000000 4d3c2b1a 0100 0000 ffffffffffffffff
           0400 0d00 75736572 6e657420 312e322e 33000000 0000 0000 34000000`),
    );
    expect(new PcapNgWriter().header()).toEqual(
      hex(
        '0a0d0d0a 2c000000 4d3c2b1a 0100 0000 ffffffffffffffff 0400 0700 75736572 6e657400 00000000 2c000000',
      ),
    );
  });

  test('4.2: an interface, with the name of its link and the unit of its times', () => {
    expect(new PcapNgWriter().interfaceBlock('qemu0')).toEqual(
      hex(
        '01000000 2c000000 0100 0000 00000400 0200 0500 71656d75 30000000 0900 0100 06000000 00000000 2c000000',
      ),
    );
    expect(new PcapNgWriter({ precision: 'nano', snapLen: 128 }).interfaceBlock('tap')).toEqual(
      hex('01000000 28000000 0100 0000 80000000 0200 0300 74617000 0900 0100 09000000 00000000 28000000'),
    );
  });

  test('4.3: a packet from a guest is inbound, one to it is outbound', () => {
    // 1593835520001500 µs.
    expect(record(new PcapNgWriter(), SECONDS * 1000 + 1.5)).toEqual(
      hex(`06000000 34000000 00000000 95a90500 dc0500c0 05000000 05000000 0102030405 000000
           0200 0400 01000000 00000000 34000000`),
    );
    const toGuest = { interfaceId: 7, direction: 'to-guest', comment: null } as const;
    expect(record(new PcapNgWriter({ precision: 'nano' }), 1000.5, toGuest)).toEqual(
      hex(`06000000 34000000 07000000 00000000 206ba23b 05000000 05000000 0102030405 000000
           0200 0400 02000000 00000000 34000000`),
    );
  });

  test('3.5.1: a comment of the caller', () => {
    const origin = { ...FROM_GUEST, comment: utf8Bytes('Grüße', 100) };
    expect(record(new PcapNgWriter(), 0, origin)).toEqual(
      hex(`06000000 40000000 00000000 00000000 00000000 05000000 05000000 0102030405 000000
           0200 0400 01000000 0100 0700 4772c3bcc39f6500 00000000 40000000`),
    );
  });

  test('4.6: statistics', () => {
    const counts = { interfaceId: 2, seen: 2 ** 33 + 5, kept: 4 };
    const block = new PcapNgWriter().statisticsBlock(counts, 1000);
    expect(block.length).toBe(new PcapNgWriter().statisticsLen);
    expect(block).toEqual(
      hex(`05000000 34000000 02000000 00000000 40420f00 0400 0800 0500000002000000 0600 0800 0400000000000000
           00000000 34000000`),
    );
  });
});

/** `hi` and `lo`, little-endian, by BigInt. */
function timeHex(seconds: number, fraction: number, units: number): string {
  const time = BigInt(seconds) * BigInt(units) + BigInt(fraction);
  const words = Uint32Array.of(Number(time >> 32n), Number(time & 0xffffffffn));
  return Buffer.from(words.buffer).toString('hex');
}

describe('times', () => {
  test.each([
    ['micro', 1e6],
    ['nano', 1e9],
  ] as const)('in %sseconds are exact to the last unit, from 1970 to 2115', (precision, units) => {
    const writer = new PcapNgWriter({ precision });
    for (const seconds of [0, 1, 4, 4294, 4295, 1_700_000_000, 2 ** 31, 2 ** 32 - 1, 4_600_000_000]) {
      // Fractions that a double of that size has.
      for (const fraction of [0, 0.5, 0.25, 1 / 64]) {
        const written = Buffer.from(record(writer, (seconds + fraction) * 1000).subarray(12, 20)).toString(
          'hex',
        );
        expect(written).toBe(timeHex(seconds, fraction * units, units));
      }
    }
  });

  test('a fraction that rounds up to a second is the next second', () => {
    const time = Buffer.from(record(new PcapNgWriter(), 1999.9996).subarray(12, 20)).toString('hex');
    expect(time).toBe(timeHex(2, 0, 1e6));
  });
});

describe('a snap length', () => {
  test('cuts the bytes and keeps the length', () => {
    const writer = new PcapNgWriter({ snapLen: 3 });
    expect(writer.recordLen(2, null)).toBe(48);
    expect(record(writer, 0).subarray(20, 32)).toEqual(hex('03000000 05000000 01020300'));
  });

  test('out of range is brought into it', () => {
    expect(new PcapNgWriter({ snapLen: 0 }).snapLen).toBe(1);
    expect(new PcapNgWriter({ snapLen: 1e9 }).snapLen).toBe(262_144);
  });
});

describe('read back', () => {
  test('links, directions, comments', () => {
    const bench = new Bench();
    bench.add(bench.writer.interfaceBlock('qemu0'));
    bench.record(1, 5);
    bench.add(bench.writer.interfaceBlock('qemu1'));
    const comment = utf8Bytes('seen by hand', 100);
    bench.record(2, 3, { interfaceId: 1, direction: 'to-guest', comment });
    bench.add(bench.writer.statisticsBlock({ interfaceId: 1, seen: 1, kept: 1 }, 0));
    const { frames, sources, damage } = bench.read();
    expect(damage).toBeNull();
    expect(sources.map(({ name, linkType, snapLen }) => [name, linkType, snapLen])).toEqual([
      ['qemu0', 1, 262_144],
      ['qemu1', 1, 262_144],
    ]);
    expect(frames.map(({ bytes, source, comments }) => [[...bytes], source.index, comments])).toEqual([
      [[1, 2, 3, 4, 5], 0, []],
      [[2, 3, 4], 1, ['seen by hand']],
    ]);
  });

  test('the reason of a drop is put into its record, whatever has come behind it', () => {
    const bench = new Bench();
    bench.add(bench.writer.interfaceBlock('qemu0'));
    const first = bench.record(1, 1);
    bench.record(1, 2);
    const comment = utf8Bytes('mine', 100);
    const second = bench.record(1, 3, { ...FROM_GUEST, comment });
    bench.record(1, 4);
    const last = bench.record(1, 5);
    bench.drop(last, Drop.IcmpByDesign);
    bench.drop(second, Drop.TcpNoFlow);
    bench.drop(first, Drop.None);
    const { frames, damage } = bench.read();
    expect(damage).toBeNull();
    expect(frames.map(({ bytes, comments }) => [bytes.length, comments])).toEqual([
      [1, []],
      [2, []],
      [3, ['mine', 'dropped: TcpNoFlow']],
      [4, []],
      [5, ['dropped: IcmpByDesign']],
    ]);
  });

  test('there is a comment for each reason, none longer than said', () => {
    const bench = new Bench();
    bench.add(bench.writer.interfaceBlock('qemu0'));
    const longest = dropNames.map((_, drop) => {
      const before = bench.end;
      bench.drop(bench.record(1, 5), drop as Drop);
      return bench.end - before - bench.writer.recordLen(5, null);
    });
    expect(Math.max(...longest)).toBe(bench.writer.maxDropLen);
    const said = bench.read().frames.map(({ comments }) => comments);
    expect(said).toEqual(dropNames.map((name) => (name === 'None' ? [] : [`dropped: ${name}`])));
  });
});

describe('RFC 3629: text as UTF-8', () => {
  test.each([
    '',
    'plain',
    'Grüße',
    '日本',
    '🦆 and 🐧',
    '\u0000\u007f\u0080\u07ff\u0800\uffff\u{10000}\u{10ffff}',
  ])('%j as TextEncoder has it', (text) => {
    expect(utf8Bytes(text, 1000)).toEqual(new TextEncoder().encode(text));
  });

  test('half a surrogate pair becomes U+FFFD', () => {
    expect(utf8Bytes('a\ud83db', 100)).toEqual(new TextEncoder().encode('a\ufffdb'));
  });

  test('what is too long is cut between two characters', () => {
    const cut = (most: number): string => Buffer.from(utf8Bytes('aü🦆b', most)).toString();
    expect([0, 1, 2, 3, 6, 7, 8].map(cut)).toEqual(['', 'a', 'a', 'aü', 'aü', 'aü🦆', 'aü🦆b']);
  });
});
