import { describe, expect, test } from 'vitest';
import { Drop } from '../../src/base/drop.ts';
import { memoryOver } from '../../src/base/memory.ts';
import { macHi, macLo, setMac } from '../../src/wire/bytes.ts';
import * as ethernet from '../../src/wire/ethernet.ts';
import { FRAMES } from '../support/frames.ts';

const { view } = memoryOver(FRAMES.tcpSyn);

test('IEEE 802.3 3.2: bytes to fields', () => {
  expect(ethernet.check(FRAMES.tcpSyn.length)).toBe(Drop.None);
  expect([ethernet.dstHi(view, 0), ethernet.dstLo(view, 0)]).toEqual([0x5255, 0x0a000202]);
  expect([ethernet.srcHi(view, 0), ethernet.srcLo(view, 0)]).toEqual([0x5254, 0x00123456]);
  expect(ethernet.etherType(view, 0)).toBe(ethernet.EtherType.Ipv4);
});

test('IEEE 802.3 3.2: fields to bytes, and nothing beside them', () => {
  const memory = memoryOver(new Uint8Array(20).fill(0xee));
  ethernet.write(memory.view, 3, 0x5255, 0x0a000202, 0x5254, 0x00123456, ethernet.EtherType.Ipv4);
  expect(memory.bytes.subarray(3, 17)).toEqual(FRAMES.tcpSyn.subarray(0, 14));
  expect([...memory.bytes.subarray(0, 3), ...memory.bytes.subarray(17)]).toEqual(new Array(6).fill(0xee));
});

test('shorter than its header', () => {
  for (let len = 0; len < 14; len++) expect(ethernet.check(len)).toBe(Drop.EthernetTooShort);
  expect(ethernet.check(14)).toBe(Drop.None);
});

describe('MACs', () => {
  test('group and broadcast', () => {
    expect(ethernet.isGroup(0x0180)).toBe(true);
    expect(ethernet.isGroup(0x3333)).toBe(true);
    expect(ethernet.isGroup(0x5254)).toBe(false);
    expect(ethernet.isBroadcast(0xffff, -1)).toBe(true);
    expect(ethernet.isBroadcast(0xffff, 0)).toBe(false);
    expect(ethernet.isBroadcast(0x5254, -1)).toBe(false);
  });

  test('upper 16 bits and lower 32 signed ones', () => {
    const v = new DataView(new ArrayBuffer(8));
    setMac(v, 1, 0xfffe, -2);
    expect([macHi(v, 1), macLo(v, 1)]).toEqual([0xfffe, -2]);
    expect([...new Uint8Array(v.buffer)]).toEqual([0, 0xff, 0xfe, 0xff, 0xff, 0xff, 0xfe, 0]);
  });
});
