import { describe, expect, test } from 'vitest';
import { Drop } from '../../src/base/drop.ts';
import { type Memory, memoryOver } from '../../src/base/memory.ts';
import { finish, pseudoSumIpv4 } from '../../src/wire/checksum.ts';
import * as tcp from '../../src/wire/tcp.ts';
import { FRAMES } from '../support/frames.ts';

const TCP = 34;
const LEN = FRAMES.tcpData.length - TCP;
const PSEUDO = pseudoSumIpv4(0x0a000202, 0x0a00020f, 6);
const { Flag } = tcp;

function data(): Memory {
  return memoryOver(Uint8Array.from(FRAMES.tcpData));
}

/** Puts the checksum right after a field was changed. */
function resum(m: Memory, len = LEN): void {
  tcp.setChecksum(m.view, TCP, 0);
  tcp.setChecksum(m.view, TCP, finish(PSEUDO + len + m.sum(TCP, len)));
}

test('RFC 9293 3.1: bytes to fields; sequence numbers are signed words', () => {
  const m = data();
  expect(tcp.check(m, TCP, LEN, PSEUDO)).toBe(Drop.None);
  expect([tcp.srcPort(m.view, TCP), tcp.dstPort(m.view, TCP)]).toEqual([80, 40_000]);
  expect([tcp.seq(m.view, TCP), tcp.ack(m.view, TCP)]).toEqual([-2, -(2 ** 31) + 1]);
  expect(tcp.headerLen(m.view, TCP)).toBe(32);
  expect(tcp.flags(m.view, TCP)).toBe(Flag.Psh | Flag.Ack);
  expect([tcp.window(m.view, TCP), tcp.urgent(m.view, TCP)]).toEqual([501, 0]);
});

test('RFC 9293 3.1: fields to bytes', () => {
  const m = memoryOver(new Uint8Array(TCP + LEN).fill(0xee));
  m.bytes.set(FRAMES.tcpData.subarray(TCP + 20), TCP + 20);
  tcp.write(m.view, TCP, 80, 40_000, -2, -(2 ** 31) + 1, 32, Flag.Psh | Flag.Ack, 501);
  expect(m.view.getInt32(TCP + 16)).toBe(0);
  resum(m);
  expect(m.bytes.subarray(TCP)).toEqual(FRAMES.tcpData.subarray(TCP));
});

test('every flag and header length survives, the other not', () => {
  const m = memoryOver(new Uint8Array(80));
  for (let header = 20; header <= 60; header += 4) {
    for (let bits = 0; bits < 256; bits++) {
      tcp.write(m.view, 1, 1, 65_535, 0, 0, header, bits, 65_535);
      expect(tcp.headerLen(m.view, 1)).toBe(header);
      expect(tcp.flags(m.view, 1)).toBe(bits);
    }
  }
});

describe('what cannot be', () => {
  test('less than a header', () => {
    for (let len = 0; len < 20; len++) expect(tcp.check(data(), TCP, len, PSEUDO)).toBe(Drop.TcpBadOffset);
  });

  test('a data offset below 5 or beyond the segment', () => {
    for (const words of [0, 1, 4, 10, 15]) {
      const m = data();
      m.view.setUint8(TCP + 12, words << 4);
      resum(m);
      expect(tcp.check(m, TCP, LEN, PSEUDO)).toBe(Drop.TcpBadOffset);
    }
    const m = data();
    expect(tcp.check(m, TCP, 31, PSEUDO)).toBe(Drop.TcpBadOffset);
  });

  test('a header that fills the segment is none of them', () => {
    const m = data();
    resum(m, 32);
    expect(tcp.check(m, TCP, 32, PSEUDO)).toBe(Drop.None);
  });

  test('any bit of the segment turned', () => {
    for (let bit = 0; bit < 8 * LEN; bit++) {
      const m = data();
      const at = TCP + (bit >> 3);
      m.view.setUint8(at, m.view.getUint8(at) ^ (1 << (bit & 7)));
      const drop = tcp.check(m, TCP, LEN, PSEUDO);
      expect([Drop.TcpBadChecksum, Drop.TcpBadOffset]).toContain(drop);
    }
  });

  test('a checksum over other addresses or another length', () => {
    expect(tcp.check(data(), TCP, LEN, PSEUDO + 1)).toBe(Drop.TcpBadChecksum);
    expect(tcp.check(data(), TCP, LEN - 1, PSEUDO)).toBe(Drop.TcpBadChecksum);
  });

  test('port zero at either end', () => {
    for (const at of [0, 2]) {
      const m = data();
      m.view.setUint16(TCP + at, 0);
      resum(m);
      expect(tcp.check(m, TCP, LEN, PSEUDO)).toBe(Drop.TcpPortZero);
    }
  });
});
