import { describe, expect, test } from 'vitest';
import { Drop } from '../../src/base/drop.ts';
import { memoryOver } from '../../src/base/memory.ts';
import * as arp from '../../src/wire/arp.ts';
import { FRAMES } from '../support/frames.ts';

const ETH = 14;

function reply(): DataView {
  return memoryOver(Uint8Array.from(FRAMES.arpReply)).view;
}

test('RFC 826: bytes to fields', () => {
  const v = reply();
  expect(arp.check(v, ETH, 28)).toBe(Drop.None);
  expect(arp.op(v, ETH)).toBe(arp.Op.Reply);
  expect([arp.senderHi(v, ETH), arp.senderLo(v, ETH)]).toEqual([0x5255, 0x0a000202]);
  expect([arp.senderIp(v, ETH), arp.targetIp(v, ETH)]).toEqual([0x0a000202, 0x0a00020f]);
});

test('RFC 826: fields to bytes', () => {
  const memory = memoryOver(new Uint8Array(28));
  arp.write(
    ...([memory.view, 0, arp.Op.Reply, 0x5255, 0x0a000202, 0x0a000202] as const),
    ...([0x5254, 0x00123456, 0x0a00020f] as const),
  );
  expect(memory.bytes).toEqual(FRAMES.arpReply.subarray(ETH));
});

describe('what is no ARP for IPv4 over Ethernet', () => {
  test('every length below 28', () => {
    for (let len = 0; len < 28; len++) expect(arp.check(reply(), ETH, len)).toBe(Drop.ArpMalformed);
    expect(arp.check(reply(), ETH, 46)).toBe(Drop.None);
  });

  test.each([
    ['hardware type', 0, 6],
    ['protocol type', 2, 0x0806],
    ['hardware address length', 4, 0x0804],
    ['protocol address length', 4, 0x0610],
    ['operation 0', 6, 0],
    ['operation 3, RARP', 6, 3],
  ])('%s', (_name, at, value) => {
    const v = reply();
    v.setUint16(ETH + at, value);
    expect(arp.check(v, ETH, 28)).toBe(Drop.ArpMalformed);
  });
});
