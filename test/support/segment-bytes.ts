// Segments as a test writes and reads them: sequence numbers counted from each side's own SYN, flags as letters.

import type { Memory } from '../../src/base/memory.ts';
import { Segment } from '../../src/tcp/segment.ts';
import { finish, isValid } from '../../src/wire/checksum.ts';
import * as tcp from '../../src/wire/tcp.ts';

/** Options of a segment; what is left out is not sent. `raw` goes behind the others and is padded with zeros. */
export interface Options {
  readonly mss?: number;
  readonly windShift?: number;
  readonly sackPermitted?: boolean;
  /** TSval and TSecr. */
  readonly ts?: readonly [number, number];
  readonly sack?: readonly (readonly [number, number])[];
  readonly raw?: readonly number[];
}

/** A segment in absolute numbers. */
export interface SegmentFields {
  readonly from: number;
  readonly to: number;
  readonly seq: number;
  readonly ack: number;
  /** Letters of F S R P A U E C. */
  readonly flags: string;
  readonly wnd: number;
  readonly urgent?: number;
  readonly data: Uint8Array;
  readonly options: Options;
}

const LETTERS = 'FSRPAUEC';

export function flagBits(letters: string): number {
  let bits = 0;
  for (const letter of letters) bits |= 1 << LETTERS.indexOf(letter);
  return bits;
}

export function flagLetters(bits: number): string {
  return [...LETTERS].filter((_letter, i) => bits & (1 << i)).join('');
}

/** Option bytes, a multiple of four of them. */
export function optionBytes(options: Options): number[] {
  const bytes: number[] = [];
  const { mss, windShift, ts, sack } = options;
  if (mss !== undefined) bytes.push(2, 4, mss >> 8, mss & 0xff);
  if (options.sackPermitted) bytes.push(1, 1, 4, 2);
  if (ts !== undefined) bytes.push(1, 1, 8, 10, ...word(ts[0]), ...word(ts[1]));
  if (windShift !== undefined) bytes.push(1, 3, 3, windShift);
  if (sack !== undefined) {
    bytes.push(
      1,
      1,
      5,
      2 + 8 * sack.length,
      ...sack.flatMap(([left, right]) => [...word(left), ...word(right)]),
    );
  }
  bytes.push(...(options.raw ?? []));
  while (bytes.length % 4 !== 0) bytes.push(0);
  return bytes;
}

function word(value: number): number[] {
  return [value >>> 24, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff];
}

/** Writes the segment, checksum included, at `at`; returns its length. */
export function writeSegment(memory: Memory, at: number, pseudo: number, fields: SegmentFields): number {
  const options = optionBytes(fields.options);
  const header = tcp.MIN_HEADER_LEN + options.length;
  const len = header + fields.data.length;
  const v = memory.view;
  const { from, to, seq, ack, wnd } = fields;
  tcp.write(v, at, from, to, seq, ack, header, flagBits(fields.flags), wnd);
  if (fields.urgent !== undefined) v.setUint16(at + 18, fields.urgent);
  memory.bytes.set(options, at + tcp.MIN_HEADER_LEN);
  memory.bytes.set(fields.data, at + header);
  tcp.setChecksum(v, at, finish(pseudo + len + memory.sum(at, len)));
  return len;
}

/** A segment that was sent, in absolute numbers. Its checksum was right, or reading it throws. */
export interface ReadSegment extends SegmentFields {
  readonly options: Options;
}

const segment = new Segment();

export function readSegment(memory: Memory, at: number, len: number, pseudo: number): ReadSegment {
  if (!isValid(pseudo + len + memory.sum(at, len)))
    throw new Error('a segment with a wrong checksum was sent');
  segment.read(memory, at, at + len);
  const { options } = segment;
  const sack: [number, number][] = [];
  for (let i = 0; i < options.sackBlocks; i++) sack.push([options.sack[2 * i]!, options.sack[2 * i + 1]!]);
  return {
    from: tcp.srcPort(memory.view, at),
    to: tcp.dstPort(memory.view, at),
    seq: segment.seq,
    ack: segment.ack,
    flags: flagLetters(segment.flags),
    wnd: segment.wnd,
    data: memory.bytes.slice(segment.payload, segment.payload + segment.payloadLen),
    options: {
      ...(options.mss > 0 ? { mss: options.mss } : {}),
      ...(options.windShift >= 0 ? { windShift: options.windShift } : {}),
      ...(options.sackPermitted ? { sackPermitted: true } : {}),
      ...(options.hasTimestamps ? { ts: [options.tsVal, options.tsEcr] as const } : {}),
      ...(sack.length > 0 ? { sack } : {}),
    },
  };
}

/** A byte for each character, as in ISO 8859-1. */
export function bytesOf(text: string): Uint8Array {
  return Uint8Array.from(text, (char) => char.charCodeAt(0));
}

export function textOf(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => String.fromCharCode(byte)).join('');
}

/** `len` bytes that differ from place to place, the first one at position `at` of a stream. */
export function pattern(len: number, at = 0): Uint8Array {
  return Uint8Array.from({ length: len }, (_, i) => patternByte(at + i));
}

export function patternByte(at: number): number {
  return (at * 31 + (at >>> 8) * 7 + (at >>> 16) * 3) & 0xff;
}
