import { describe, expect, test } from 'vitest';
import { Drop } from '../../src/base/drop.ts';
import { type Memory, memoryOver } from '../../src/base/memory.ts';
import { finish } from '../../src/wire/checksum.ts';
import * as ipv4 from '../../src/wire/ipv4.ts';
import { FRAMES } from '../support/frames.ts';

const IP = 14;
const GUEST = 0x0a00020f;
const GATEWAY = 0x0a000202;

function copyOf(frame: Uint8Array): Memory {
  return memoryOver(Uint8Array.from(frame));
}

/** Puts the checksum right after a field was changed. */
function resum(m: Memory): void {
  m.view.setUint16(IP + 10, 0);
  m.view.setUint16(IP + 10, finish(m.sum(IP, ipv4.headerLen(m.view, IP))));
}

test('RFC 791 3.1: bytes to fields', () => {
  const m = copyOf(FRAMES.tcpSyn);
  expect(ipv4.check(m, IP, 60)).toBe(Drop.None);
  expect(ipv4.headerLen(m.view, IP)).toBe(20);
  expect(ipv4.totalLen(m.view, IP)).toBe(60);
  expect(ipv4.id(m.view, IP)).toBe(1);
  expect(ipv4.ttl(m.view, IP)).toBe(64);
  expect(ipv4.protocol(m.view, IP)).toBe(ipv4.Protocol.Tcp);
  expect([ipv4.src(m.view, IP), ipv4.dst(m.view, IP)]).toEqual([GUEST, GATEWAY]);
  expect([ipv4.isFragment(m.view, IP), ipv4.dontFragment(m.view, IP)]).toEqual([false, true]);
});

test('addresses are signed words', () => {
  const m = copyOf(FRAMES.dhcpDiscover);
  expect([ipv4.src(m.view, IP), ipv4.dst(m.view, IP)]).toEqual([0, -1]);
});

test('RFC 791 3.2: fragments', () => {
  const first = copyOf(FRAMES.udpFirstFragment).view;
  const last = copyOf(FRAMES.udpLastFragment).view;
  expect([ipv4.isFragment(first, IP), ipv4.moreFragments(first, IP)]).toEqual([true, true]);
  expect([ipv4.isFragment(last, IP), ipv4.moreFragments(last, IP)]).toEqual([true, false]);
  expect([ipv4.fragmentOffset(first, IP), ipv4.fragmentOffset(last, IP)]).toEqual([0, 1480]);
  expect(ipv4.dontFragment(first, IP)).toBe(false);
});

describe('fields to bytes', () => {
  test('a whole datagram', () => {
    const m = memoryOver(new Uint8Array(20));
    ipv4.write(m.view, 0, 40, 1, ipv4.Protocol.Tcp, GUEST, GATEWAY);
    expect(m.bytes).toEqual(FRAMES.tcpSyn.subarray(IP, IP + 20));
  });

  test('its fragments', () => {
    const m = memoryOver(new Uint8Array(20));
    ipv4.writeAsFragment(m.view, 0, 1480, 7, ipv4.Protocol.Udp, GUEST, GATEWAY, 0, true);
    expect(m.bytes).toEqual(FRAMES.udpFirstFragment.subarray(IP, IP + 20));
    ipv4.writeAsFragment(m.view, 0, 528, 7, ipv4.Protocol.Udp, GUEST, GATEWAY, 1480, false);
    expect(m.bytes).toEqual(FRAMES.udpLastFragment.subarray(IP, IP + 20));
  });

  test('the checksum holds at the edges of every field', () => {
    const m = memoryOver(new Uint8Array(65_535));
    for (const [payload, id, proto, from, to] of [
      [65_515, 0xffff, 255, -1, -1],
      [0, 0, 0, 0, 0],
      [65_515, 0x8000, 17, 0x7fffffff, -(2 ** 31)],
    ] as const) {
      ipv4.write(m.view, 0, payload, id, proto, from, to);
      expect(ipv4.check(m, 0, 65_535)).toBe(Drop.None);
      expect([ipv4.totalLen(m.view, 0), ipv4.id(m.view, 0)]).toEqual([payload + 20, id]);
      expect([ipv4.src(m.view, 0), ipv4.dst(m.view, 0)]).toEqual([from, to]);
    }
    ipv4.writeAsFragment(m.view, 0, 8, 1, 17, GUEST, GATEWAY, 65_528, true);
    expect(ipv4.check(m, 0, 28)).toBe(Drop.None);
    expect(ipv4.fragmentOffset(m.view, 0)).toBe(65_528);
  });
});

describe('what cannot be', () => {
  test('a frame shorter than 20 bytes, whatever is in it', () => {
    for (let len = 0; len < 20; len++)
      expect(ipv4.check(copyOf(FRAMES.tcpSyn), IP, len)).toBe(Drop.Ipv4BadHeader);
  });

  test('another version, a header below 20 bytes', () => {
    for (const first of [0x65, 0x05, 0x55, 0xf5, 0x40, 0x44]) {
      const m = copyOf(FRAMES.tcpSyn);
      m.view.setUint8(IP, first);
      expect(ipv4.check(m, IP, 60)).toBe(Drop.Ipv4BadHeader);
    }
  });

  test('RFC 1122 3.2.1: a total length below the header or above the frame', () => {
    for (const [total, len] of [
      [19, 60],
      [0, 60],
      [61, 60],
      [65_535, 60],
      [60, 59],
      [60, 20],
    ] as const) {
      const m = copyOf(FRAMES.tcpSyn);
      m.view.setUint16(IP + 2, total);
      resum(m);
      expect(ipv4.check(m, IP, len)).toBe(Drop.Ipv4BadLength);
    }
  });

  test('options that would not fit the frame', () => {
    const m = copyOf(FRAMES.tcpReset);
    m.view.setUint8(IP, 0x4f);
    expect(ipv4.check(m, IP, 40)).toBe(Drop.Ipv4BadLength);
  });

  test('options that fit are part of header and checksum', () => {
    const m = copyOf(FRAMES.tcpReset);
    m.view.setUint8(IP, 0x46);
    expect(ipv4.check(m, IP, 40)).toBe(Drop.Ipv4BadChecksum);
    resum(m);
    expect(ipv4.check(m, IP, 40)).toBe(Drop.None);
    expect(ipv4.headerLen(m.view, IP)).toBe(24);
  });

  test('RFC 1122 3.2.1.2: any bit of the header turned', () => {
    for (let bit = 64; bit < 160; bit++) {
      const m = copyOf(FRAMES.tcpSyn);
      const at = IP + (bit >> 3);
      m.view.setUint8(at, m.view.getUint8(at) ^ (1 << (bit & 7)));
      expect(ipv4.check(m, IP, 60)).toBe(Drop.Ipv4BadChecksum);
    }
  });
});
