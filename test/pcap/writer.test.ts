import { expect, test } from 'vitest';
import { memoryOver } from '../../src/base/memory.ts';
import { PcapWriter } from '../../src/pcap/writer.ts';
import { hex } from '../support/frames.ts';

const FRAME = memoryOver(hex('ee 01 02 03 04 05 ee'));

/** The record of the five bytes in FRAME. */
function record(writer: PcapWriter, wallMs: number): Uint8Array {
  const into = memoryOver(new Uint8Array(40).fill(0xaa));
  const end = writer.record(into, 2, FRAME, 1, 5, wallMs);
  expect(end).toBe(2 + writer.recordLen(5));
  expect([...into.bytes.subarray(0, 2), into.bytes[end]]).toEqual([0xaa, 0xaa, 0xaa]);
  return into.bytes.subarray(2, end);
}

test('draft-ietf-opsawg-pcap 4: the file header, little-endian', () => {
  expect(new PcapWriter().header()).toEqual(hex('d4c3b2a1 0200 0400 00000000 00000000 00000400 01000000'));
  expect(new PcapWriter({ snapLen: 128, precision: 'nano' }).header()).toEqual(
    hex('4d3cb2a1 0200 0400 00000000 00000000 80000000 01000000'),
  );
});

test('draft-ietf-opsawg-pcap 5: a record', () => {
  expect(record(new PcapWriter(), 0x5f000000 * 1000 + 1.5)).toEqual(
    hex('0000005f dc050000 05000000 05000000 0102030405'),
  );
  expect(record(new PcapWriter({ precision: 'nano' }), 1000.5)).toEqual(
    hex('01000000 20a10700 05000000 05000000 0102030405'),
  );
});

test('a snap length cuts the bytes and keeps the length', () => {
  const writer = new PcapWriter({ snapLen: 3 });
  expect(writer.recordLen(2)).toBe(18);
  expect(record(writer, 0)).toEqual(hex('00000000 00000000 03000000 05000000 010203'));
});

test('a snap length out of range is brought into it', () => {
  expect(new PcapWriter({ snapLen: 0 }).snapLen).toBe(1);
  expect(new PcapWriter({ snapLen: 1e9 }).snapLen).toBe(262_144);
});

test('a fraction that rounds up to a second is the next second', () => {
  expect(record(new PcapWriter(), 1999.9996).subarray(0, 8)).toEqual(hex('02000000 00000000'));
  expect(record(new PcapWriter({ precision: 'nano' }), 1999.9999999).subarray(0, 8)).toEqual(
    hex('02000000 00000000'),
  );
});

test('seconds beyond 2038', () => {
  expect(record(new PcapWriter(), 0xf0000000 * 1000).subarray(0, 8)).toEqual(hex('000000f0 00000000'));
});
