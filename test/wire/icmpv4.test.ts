import { expect, test } from 'vitest';
import { memoryOver } from '../../src/base/memory.ts';
import * as icmp from '../../src/wire/icmpv4.ts';
import { FRAMES } from '../support/frames.ts';

const ICMP = 34;

test('RFC 792: bytes to fields', () => {
  const { view } = memoryOver(FRAMES.icmpPortUnreachable);
  expect([icmp.type(view, ICMP), icmp.code(view, ICMP)]).toEqual([icmp.Type.Unreachable, icmp.Code.Port]);
});

test('RFC 792: an error in front of what it quotes', () => {
  const m = memoryOver(new Uint8Array(36).fill(0xee));
  m.bytes.set(FRAMES.icmpPortUnreachable.subarray(ICMP + 8), 8);
  icmp.writeError(m, 0, icmp.Type.Unreachable, icmp.Code.Port, 0, 28);
  expect(m.bytes).toEqual(FRAMES.icmpPortUnreachable.subarray(ICMP));
});

test('RFC 1191 4: fragmentation needed carries the MTU', () => {
  const m = memoryOver(new Uint8Array(36));
  m.bytes.set(FRAMES.icmpFragmentationNeeded.subarray(ICMP + 8), 8);
  icmp.writeError(m, 0, icmp.Type.Unreachable, icmp.Code.FragmentationNeeded, 1400, 28);
  expect(m.bytes).toEqual(FRAMES.icmpFragmentationNeeded.subarray(ICMP));
});
