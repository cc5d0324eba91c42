import fc from 'fast-check';
import { expect, test } from 'vitest';
import { CaptureReader } from '../../src/pcap/reader.ts';
import { bytes, Classic, FRAME, Ng, readInPieces, SECONDS } from './reader-bytes.ts';

const classic = new Classic(false);
const ng = new Ng();
const TIME = BigInt(SECONDS) * 1_000_000n;

const CAPTURES: Readonly<Record<string, Uint8Array>> = {
  classic: bytes(
    classic.header({ magic: 0xa1b23c4d }),
    ...[0, 1, 60, 7, 0, 33].map((len, i) => classic.record(SECONDS, i, FRAME.slice(0, len), 1514)),
  ),
  pcapng: bytes(
    ng.section(),
    ng.interface(ng.text(2, 'guest 1')),
    ng.packet(0, TIME, FRAME, { options: ng.text(1, 'a comment') }),
    ng.block(0x99, new Uint8Array(70)),
    ng.packet(0, TIME, FRAME.slice(0, 1)),
    ng.simplePacket(FRAME),
    new Ng(false).section(),
    new Ng(false).interface(),
    new Ng(false).packet(0, TIME, FRAME),
  ),
};

test.each(Object.entries(CAPTURES))('%s: every way to cut the file gives the same frames', (_name, file) => {
  const whole = readInPieces(file, []);
  expect(whole.damage).toBeNull();
  expect(whole.frames.length).toBeGreaterThan(3);
  expect(
    readInPieces(
      file,
      Array.from(file, (_, i) => i),
    ),
  ).toEqual(whole);
  for (let cut = 0; cut <= file.length; cut++) expect(readInPieces(file, [cut])).toEqual(whole);
  const cuts = fc.array(fc.nat(file.length), { maxLength: 12 }).map((list) => list.sort((a, b) => a - b));
  fc.assert(
    fc.property(cuts, (list) => {
      expect(readInPieces(file, list)).toEqual(whole);
    }),
    { numRuns: 200, seed: 4 },
  );
});

test.each(Object.entries(CAPTURES))('%s: any byte changed, and it never throws', (_name, file) => {
  const change = fc.tuple(fc.nat(file.length - 1), fc.nat(255));
  fc.assert(
    fc.property(fc.array(change, { minLength: 1, maxLength: 4 }), fc.nat(file.length), (changes, cut) => {
      const copy = file.slice();
      for (const [at, value] of changes) copy[at] = value;
      expect(readInPieces(copy, [cut])).toEqual(readInPieces(copy, []));
    }),
    { numRuns: 1000, seed: 4 },
  );
});

test('a record that lies whole in the piece is lent from there', () => {
  const file = CAPTURES['classic']!;
  const buffers: ArrayBufferLike[] = [];
  const reader = new CaptureReader(({ memory }) => buffers.push(memory.bytes.buffer));
  reader.push(file);
  expect(new Set(buffers)).toEqual(new Set([file.buffer]));
});

test('frame and comments are the same objects each time', () => {
  const seen = new Set<object>();
  const reader = new CaptureReader((frame) => seen.add(frame).add(frame.comments));
  reader.push(CAPTURES['classic']!);
  expect(seen.size).toBe(2);
});

test('an interface is told before its frames', () => {
  const told: string[] = [];
  const reader = new CaptureReader(
    (frame) => told.push(`frame of ${frame.source.index}`),
    (source) => told.push(`interface ${source.index}`),
  );
  reader.push(bytes(ng.section(), ng.interface(), ng.interface(), ng.packet(1, TIME, FRAME)));
  expect(told).toEqual(['interface 0', 'interface 1', 'frame of 1']);
});
