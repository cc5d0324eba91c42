// Frames for the tests of filters: few addresses and ports, so that a filter over the same few often matches, and every
// shape that decides about a verdict: tags, options, fragments, extension headers, lies about lengths, frames cut short.

import { parseIp } from '../../src/base/addr.ts';
import { parseMacId } from '../../src/pcap/filter-spelling.ts';
import type { SeededRandom } from '../support/seeded-random.ts';
import type { Sample } from './filter-judge.ts';

export const MACS = ['52:54:00:12:34:56', '52:55:0a:00:02:02', '01:00:5e:00:00:01', 'ff:ff:ff:ff:ff:ff'];
export const IPV4 = [
  '10.0.2.15',
  '10.0.2.2',
  '10.0.3.2',
  '192.168.1.1',
  '224.0.0.251',
  '255.255.255.255',
  '0.0.0.0',
];
export const IPV6 = [
  'fe80::1',
  'fe80::5054:ff:fe12:3456',
  'fd00:0:0:1::2',
  'ff02::1',
  '::1',
  '::ffff:10.0.2.2',
];
export const PORTS = [0, 22, 53, 67, 68, 69, 80, 443, 1024, 5353, 40000, 65535];
export const PROTOCOLS = [0, 1, 2, 6, 17, 41, 44, 47, 50, 51, 58, 103, 112, 132, 255];
export const ETHER_TYPES = [
  0x0800, 0x0806, 0x86dd, 0x8035, 0x8100, 0x88a8, 0x9100, 0x88cc, 0x8137, 0x809b, 0x80f3, 100,
];
export const VLANS = [0, 5, 300, 4095];

/** A frame; the same random words make the same one. */
export function randomSample(random: SeededRandom): Sample {
  const whole = frame(random);
  if (chance(random, 0.2)) flip(random, whole);
  const kept = chance(random, 0.25) ? random.below(Math.min(whole.length, 100) + 1) : whole.length;
  return { bytes: whole.subarray(0, kept), wireLen: chance(random, 0.1) ? random.below(2000) : whole.length };
}

function frame(random: SeededRandom): Buffer {
  const parts = [mac(random), mac(random)];
  while (chance(random, 0.2)) {
    parts.push(
      u16(pick(random, [0x8100, 0x88a8, 0x9100])),
      u16((random.below(8) << 13) | pick(random, VLANS)),
    );
  }
  const kind = random.below(10);
  if (kind < 4) parts.push(u16(0x0800), ipv4(random));
  else if (kind < 7) parts.push(u16(0x86dd), ipv6(random));
  else if (kind < 8) parts.push(u16(pick(random, [0x0806, 0x0806, 0x8035])), arp(random));
  else if (kind < 9) parts.push(llc(random));
  else parts.push(u16(pick(random, ETHER_TYPES)), bytes(random, random.below(100)));
  // As on a wire, or as an emulated card sends it.
  const made = Buffer.concat(parts);
  return chance(random, 0.5) ? Buffer.concat([made, Buffer.alloc(Math.max(0, 60 - made.length))]) : made;
}

function ipv4(random: SeededRandom): Buffer {
  const words = chance(random, 0.8) ? 5 : random.below(16);
  const header = bytes(random, Math.max(20, 4 * words));
  header[0] = 0x40 | words;
  const fragment = [0, 0, 0, 0x4000, 0x2000, 0x2001, 185, 0x1fff];
  header.writeUInt16BE(pick(random, fragment), 6);
  header[9] = pick(random, [6, 6, 17, 17, 1, 132, pick(random, PROTOCOLS)]);
  ip(random, IPV4).copy(header, 12);
  ip(random, IPV4).copy(header, 16);
  return Buffer.concat([header, payload(random)]);
}

function ipv6(random: SeededRandom): Buffer {
  const header = bytes(random, 8);
  header[0] = 0x60;
  header[6] = pick(random, [6, 6, 17, 17, 58, 44, 44, 132, pick(random, PROTOCOLS)]);
  const ends = [ip(random, IPV6), ip(random, IPV6)];
  const extension = bytes(random, 8);
  extension[0] = pick(random, PROTOCOLS);
  return Buffer.concat([header, ...ends, ...(header[6] === 44 ? [extension] : []), payload(random)]);
}

/** What ports are looked for in. */
function payload(random: SeededRandom): Buffer {
  return Buffer.concat([u16(pick(random, PORTS)), u16(pick(random, PORTS)), bytes(random, random.below(80))]);
}

function arp(random: SeededRandom): Buffer {
  const head = Buffer.from('0001080006040001', 'hex');
  return Buffer.concat([head, mac(random), ip(random, IPV4), mac(random), ip(random, IPV4)]);
}

/** IEEE 802.2, some of it SNAP. */
function llc(random: SeededRandom): Buffer {
  const header = pick(random, [
    '424203',
    'fefe03',
    '0606',
    'e0e0',
    'ffff',
    'f0f0',
    'aaaa030000008137',
    'aaaa03080007809b',
  ]);
  const body = Buffer.concat([
    Buffer.from(header, 'hex'),
    Buffer.from(pick(random, ['', '80f3', '0800']), 'hex'),
    bytes(random, random.below(60)),
  ]);
  return Buffer.concat([u16(chance(random, 0.8) ? body.length : 1495 + random.below(10)), body]);
}

function flip(random: SeededRandom, frame: Buffer): void {
  for (let i = random.below(4); i >= 0; i--) {
    const at = random.below(Math.min(frame.length, 64));
    frame[at] = chance(random, 0.5) ? random.below(256) : frame[at]! ^ (1 << random.below(8));
  }
}

export function pick<T>(random: SeededRandom, list: readonly T[]): T {
  return list[random.below(list.length)]!;
}

function chance(random: SeededRandom, share: number): boolean {
  return random.float() < share;
}

function bytes(random: SeededRandom, length: number): Buffer {
  return Buffer.from(Array.from({ length }, () => random.below(256)));
}

function mac(random: SeededRandom): Buffer {
  const { hi, lo } = parseMacId(pick(random, MACS))!;
  return Buffer.concat([u16(hi), u16(lo >>> 16), u16(lo)]);
}

function ip(random: SeededRandom, list: readonly string[]): Buffer {
  const address = parseIp(pick(random, list))!;
  const words = [address.w0, address.w1, address.w2, address.w3];
  const made = Buffer.concat(words.flatMap((word) => [u16(word >>> 16), u16(word)]));
  return list === IPV4 ? made.subarray(12) : made;
}

function u16(value: number): Buffer {
  const made = Buffer.alloc(2);
  made.writeUInt16BE(value & 0xffff);
  return made;
}
