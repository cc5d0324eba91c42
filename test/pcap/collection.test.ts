// The captures of pcaps/: each is described, as it is, and shows addresses of nobody.

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { parse } from 'pcap-parser';
import { describe, expect, test } from 'vitest';
import { readCapture } from '../../src/pcap/reader.ts';
import { fileOf, scenes } from '../../tools/captures/scenes.ts';
import { capturesIn, OWN } from '../support/captures.ts';

const FILE_LIMIT = 200_000;
const TOTAL_LIMIT = 3_000_000;

const files = capturesIn(OWN);
const bytesOf = (name: string): Buffer => readFileSync(join(OWN, name));

/** Frames of each file, as the table in pcaps/README.md says. */
function described(): Record<string, number> {
  const rows = readFileSync(join(OWN, 'README.md'), 'utf8').matchAll(/^\| `([^`]+)` \| (\d+) \|/gm);
  return Object.fromEntries([...rows].map(([, name, frames]) => [name, Number(frames)]));
}

/** Of the virtual network, for documentation (RFC 5737), loopback, groups; and nobody, and everybody. */
const IPV4 =
  /^(10\.0\.2\.\d+|192\.0\.2\.\d+|198\.51\.100\.\d+|203\.0\.113\.\d+|127(\.\d+){3}|2(2[4-9]|3\d)(\.\d+){3}|0\.0\.0\.0|255\.255\.255\.255)$/;
/** None, link-local, groups, libslirp's site-local, documentation (RFC 3849). */
const IPV6 = /^(0000:){7}0000$|^fe80:|^ff|^fec0:|^2001:0db8:/;

/** The addresses in the headers of a frame: of IPv4 or IPv6, or of ARP. */
function addresses(frame: Uint8Array): string[] {
  const bytes = Buffer.from(frame.buffer, frame.byteOffset, frame.length);
  const ipv4 = (at: number) => bytes.subarray(at, at + 4).join('.');
  const ipv6 = (at: number) => (bytes.toString('hex', at, at + 16).match(/.{4}/g) ?? []).join(':');
  switch (bytes.readUInt16BE(12)) {
    case 0x0800:
      return [ipv4(26), ipv4(30)];
    case 0x0806:
      return [ipv4(28), ipv4(38)];
    case 0x86dd:
      return [ipv6(22), ipv6(38)];
    default:
      return [];
  }
}

describe('pcaps/', () => {
  test('every file is described with its number of frames, and every file that is described is there', () => {
    const counted = files.map((name) => [name, readCapture(bytesOf(name)).frames.length]);
    expect(Object.fromEntries(counted)).toEqual(described());
  });

  test('every file has a scene that records it again, and every scene a file', () => {
    expect(scenes.map(fileOf).sort()).toEqual([...files].sort());
  });

  test('every file is read to its end, and is Ethernet with whole frames', () => {
    for (const name of files) {
      const { frames, sources, damage } = readCapture(bytesOf(name));
      expect(damage, name).toBeNull();
      expect(
        sources.map(({ linkType }) => linkType),
        name,
      ).toEqual(sources.map(() => 1));
      expect(
        frames.filter(({ bytes, wireLen }) => bytes.length !== wireLen || wireLen < 14),
        name,
      ).toEqual([]);
    }
  });

  test('the files are small', () => {
    const sizes = files.map((name) => bytesOf(name).length);
    expect(Math.max(...sizes)).toBeLessThan(FILE_LIMIT);
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThan(TOTAL_LIMIT);
  });

  test('no header has an address of a network that exists', () => {
    const foreign = files.flatMap((name) => {
      const seen = new Set(readCapture(bytesOf(name)).frames.flatMap(({ bytes }) => addresses(bytes)));
      const others = [...seen].filter((text) => !(text.includes(':') ? IPV6 : IPV4).test(text));
      return others.map((text) => `${name}: ${text}`);
    });
    expect(foreign).toEqual([]);
  });

  test('all three formats are there', () => {
    const magics = new Set(files.map((name) => bytesOf(name).readUInt32LE(0).toString(16)));
    // Classic with microseconds, with nanoseconds, pcapng.
    expect(magics).toEqual(new Set(['a1b2c3d4', 'a1b23c4d', 'a0d0d0a']));
  });

  test('pcap-parser reads the same frames from every classic file with microseconds', async () => {
    const classic = files.filter((name) => bytesOf(name).readUInt32LE(0) === 0xa1b2c3d4);
    expect(classic.length).toBeGreaterThan(files.length / 2);
    for (const name of classic) {
      const bytes = bytesOf(name);
      const theirs = await new Promise<Buffer[]>((resolve, reject) => {
        const packets: Buffer[] = [];
        const parser = parse(Readable.from([bytes], { objectMode: false }));
        parser.on('packet', ({ data }) => packets.push(data));
        parser.on('end', () => resolve(packets));
        parser.on('error', reject);
      });
      expect(
        theirs.map((packet) => packet.toString('hex')),
        name,
      ).toEqual(readCapture(bytes).frames.map((frame) => Buffer.from(frame.bytes).toString('hex')));
    }
  });
});
