import { expect, test } from 'vitest';
import { atOddOffset, memoryOver } from '../../src/base/memory.ts';
import { finish, fold, isValid, pseudoSumIpv4 } from '../../src/wire/checksum.ts';
import { hex } from '../support/frames.ts';

test('RFC 1071 3: the example', () => {
  const m = memoryOver(hex('0001 f203 f4f5 f6f7'));
  expect(m.sum(0, 8)).toBe(0xddf2);
  expect(finish(m.sum(0, 8))).toBe(0x220d);
  expect(isValid(m.sum(0, 8) + 0x220d)).toBe(true);
  expect(isValid(m.sum(0, 8) + 0x220e)).toBe(false);
});

test('an IPv4 header from a real capture', () => {
  const m = memoryOver(hex('4500 0073 0000 4000 4011 b861 c0a8 0001 c0a8 00c7'));
  expect(isValid(m.sum(0, 20))).toBe(true);
  m.view.setUint16(10, 0);
  expect(finish(m.sum(0, 20))).toBe(0xb861);
});

test('RFC 1071 2 (B): a part that begins at an odd place has its bytes changed over', () => {
  const m = memoryOver(hex('01 02 03 fe fd fc fb 80 7f'));
  for (let cut = 0; cut <= 9; cut++) {
    const rest = m.sum(cut, 9 - cut);
    const whole = m.sum(0, cut) + (cut % 2 === 0 ? rest : atOddOffset(rest));
    expect(fold(whole)).toBe(m.sum(0, 9));
  }
});

test('RFC 9293 3.1: the pseudo-header without its length', () => {
  const words = memoryOver(hex('0a00 020f ffff ffff 0006'));
  expect(fold(pseudoSumIpv4(0x0a00020f, -1, 6))).toBe(words.sum(0, 10));
});
