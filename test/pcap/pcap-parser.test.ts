// pcap-parser from npm, the library that users read classic captures with, beside our reader. It takes microseconds only, and
// at the end of a file that is cut off it says nothing and drops the record that is not whole, as we do with a word about it.

import { readFileSync } from 'node:fs';
import { Readable } from 'node:stream';
import { type PcapPacket, parse } from 'pcap-parser';
import { describe, expect, test } from 'vitest';
import { readCapture } from '../../src/pcap/reader.ts';
import { filesUnder, hasShared, OWN, SHARED } from '../support/captures.ts';
import { bytes, Classic, FRAME, SECONDS } from './reader-bytes.ts';

/** Of both magic numbers of microseconds, as they stand in a file. */
const MICRO = ['d4c3b2a1', 'a1b2c3d4'];

/** Microseconds since 1970, original length, bytes. */
type Frame = readonly [time: number, wireLen: number, data: string];

function theirFrames(file: Uint8Array): Promise<Frame[]> {
  const frames: Frame[] = [];
  return new Promise((resolve, reject) => {
    // A piece at a time: it copies all it has for each one.
    parse(Readable.from([Buffer.from(file)]))
      .on('packet', ({ header, data }: PcapPacket) => {
        const time = header.timestampSeconds * 1_000_000 + header.timestampMicroseconds;
        frames.push([time, header.originalLength, data.toString('hex')]);
      })
      .on('error', reject)
      .on('end', () => resolve(frames));
  });
}

function ourFrames(file: Uint8Array): Frame[] {
  return readCapture(file).frames.map(({ seconds, nanoseconds, wireLen, bytes: data }) => [
    seconds * 1_000_000 + nanoseconds / 1000,
    wireLen,
    Buffer.from(data).toString('hex'),
  ]);
}

function classicFiles(dir: string): string[] {
  return filesUnder(dir).filter((path) => MICRO.includes(readFileSync(path).toString('hex', 0, 4)));
}

describe.each(hasShared ? [OWN, SHARED] : [OWN])('%s', (dir) => {
  test('every classic capture in microseconds has the same frames', async () => {
    const files = classicFiles(dir);
    expect(files.length).toBeGreaterThan(0);
    for (const path of files) {
      const file = readFileSync(path);
      expect(ourFrames(file), path).toEqual(await theirFrames(file));
    }
  });
});

test('where the file is cut off, the frames before', async () => {
  for (const capture of [new Classic(), new Classic(false)]) {
    const record = capture.record(SECONDS, 5, FRAME, 70);
    const file = bytes(capture.header(), record, record.slice(0, 50));
    expect(ourFrames(file)).toEqual([[SECONDS * 1e6 + 5, 70, Buffer.from(FRAME).toString('hex')]]);
    expect(await theirFrames(file)).toEqual(ourFrames(file));
    expect(readCapture(file).damage?.offset).toBe(100);
  }
});

test('nanoseconds are none of its formats', async () => {
  const file = new Classic().header({ magic: 0xa1b23c4d });
  await expect(theirFrames(file)).rejects.toThrow('unknown magic number: 4d3cb2a1');
});
