import { describe, expect, test } from 'vitest';
import { Drop } from '../../src/base/drop.ts';
import { type Memory, memoryOver } from '../../src/base/memory.ts';
import { pseudoSumIpv4 } from '../../src/wire/checksum.ts';
import * as udp from '../../src/wire/udp.ts';
import { FRAMES } from '../support/frames.ts';

const UDP = 34;
const PSEUDO = pseudoSumIpv4(0x0a00020f, 0x0a000202, 17);

function echo(): Memory {
  return memoryOver(Uint8Array.from(FRAMES.udpEcho));
}

test('RFC 768: bytes to fields', () => {
  const m = echo();
  expect(udp.check(m, UDP, 13, PSEUDO)).toBe(Drop.None);
  expect([udp.srcPort(m.view, UDP), udp.dstPort(m.view, UDP)]).toEqual([5000, 7]);
  expect(udp.payloadLen(m.view, UDP)).toBe(5);
});

test('RFC 768: fields to bytes', () => {
  const m = memoryOver(new Uint8Array(13));
  m.bytes.set(FRAMES.udpEcho.subarray(UDP + 8), 8);
  udp.write(m.view, 0, 5000, 7, 5, PSEUDO + m.sum(8, 5));
  expect(m.bytes).toEqual(FRAMES.udpEcho.subarray(UDP));
});

describe('the checksum', () => {
  test('RFC 768: one that comes out as zero is sent as all ones, and valid', () => {
    const m = memoryOver(new Uint8Array(10));
    // Ports 1 and 1, length 10 twice, and a word that makes the sum of everything 0xffff.
    m.view.setUint16(8, 0xffff - 1 - 1 - 20);
    udp.write(m.view, 0, 1, 1, 2, m.sum(8, 2));
    expect(m.view.getUint16(6)).toBe(0xffff);
    expect(udp.check(m, 0, 10, 0)).toBe(Drop.None);
  });

  test('RFC 768: zero means that there is none', () => {
    const m = echo();
    m.view.setUint16(UDP + 6, 0);
    m.view.setUint8(UDP + 9, 0xff);
    expect(udp.check(m, UDP, 13, PSEUDO)).toBe(Drop.None);
  });

  test('RFC 1122 4.1.3.4: a wrong one is silently discarded', () => {
    const m = echo();
    m.view.setUint8(UDP + 9, 0xff);
    expect(udp.check(m, UDP, 13, PSEUDO)).toBe(Drop.UdpBadChecksum);
    expect(udp.check(echo(), UDP, 13, PSEUDO + 1)).toBe(Drop.UdpBadChecksum);
  });

  test('the largest datagram', () => {
    const m = memoryOver(new Uint8Array(8 + udp.MAX_PAYLOAD).fill(0xff));
    udp.write(m.view, 0, 0xffff, 0xffff, udp.MAX_PAYLOAD, PSEUDO + m.sum(8, udp.MAX_PAYLOAD));
    expect(udp.check(m, 0, m.bytes.length, PSEUDO)).toBe(Drop.None);
    expect(udp.payloadLen(m.view, 0)).toBe(udp.MAX_PAYLOAD);
  });
});

describe('what cannot be', () => {
  test('less than a header', () => {
    for (let len = 0; len < 8; len++) expect(udp.check(echo(), UDP, len, PSEUDO)).toBe(Drop.UdpBadLength);
  });

  test('a length below the header or beyond the packet', () => {
    for (const length of [0, 7, 14, 0xffff]) {
      const m = echo();
      m.view.setUint16(UDP + 4, length);
      expect(udp.check(m, UDP, 13, PSEUDO)).toBe(Drop.UdpBadLength);
    }
  });

  test('RFC 768: what lies behind the length is not part of it', () => {
    const m = memoryOver(new Uint8Array(60).fill(0xee));
    m.bytes.set(FRAMES.udpEcho.subarray(UDP));
    expect(udp.check(m, 0, 60, PSEUDO)).toBe(Drop.None);
    expect(udp.payloadLen(m.view, 0)).toBe(5);
  });

  test('port zero at either end', () => {
    for (const at of [0, 2]) {
      const m = echo();
      m.view.setUint16(UDP + at, 0);
      m.view.setUint16(UDP + 6, 0);
      expect(udp.check(m, UDP, 13, PSEUDO)).toBe(Drop.UdpPortZero);
    }
  });
});
