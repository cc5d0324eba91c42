import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { memoryOver } from '../../src/base/memory.ts';
import {
  MAX_WINDOW_SHIFT,
  TcpOptions,
  writeMss,
  writeSackHead,
  writeSackPermitted,
  writeTimestamps,
  writeWindowScale,
} from '../../src/wire/tcp-options.ts';
import { hex } from '../support/frames.ts';

/** The options in hexadecimal text, parsed at an odd place with other bytes around. */
function parse(text: string, into = new TcpOptions()): TcpOptions {
  const bytes = hex(text);
  const { view, bytes: all } = memoryOver(new Uint8Array(bytes.length + 10).fill(0x02));
  all.set(bytes, 3);
  into.parse(view, 3, 3 + bytes.length);
  return into;
}

const NOTHING = new TcpOptions();

test('a SYN of Linux', () => {
  const options = parse('020405b4 0402 080a 00000001 fffffffe 01 030307');
  expect(options.mss).toBe(1460);
  expect(options.sackPermitted).toBe(true);
  expect([options.hasTimestamps, options.tsVal, options.tsEcr]).toEqual([true, 1, -2]);
  expect(options.windShift).toBe(7);
  expect(options.sackBlocks).toBe(0);
});

test('RFC 7323 appendix A: timestamps alone, the short way', () => {
  const options = parse('0101080a 80000000 00000005');
  expect([options.hasTimestamps, options.tsVal, options.tsEcr]).toEqual([true, -(2 ** 31), 5]);
});

test('RFC 7323 2.3: a shift above 14 is taken as 14, a shift of 0 is one', () => {
  expect(parse('03030f').windShift).toBe(MAX_WINDOW_SHIFT);
  expect(parse('0303ff').windShift).toBe(14);
  expect(parse('03030e').windShift).toBe(14);
  expect(parse('030300').windShift).toBe(0);
});

test('RFC 2018 3: up to four SACK blocks', () => {
  const one = parse('0101 050a 0000000a fffffff6');
  expect([one.sackBlocks, one.sack[0], one.sack[1]]).toEqual([1, 10, -10]);
  const four = parse(`0522 ${'00000001 00000002'.repeat(4)}`);
  expect(four.sackBlocks).toBe(4);
  expect([...four.sack]).toEqual([1, 2, 1, 2, 1, 2, 1, 2]);
  expect(parse(`052a ${'00000001 00000002'.repeat(5)}`).sackBlocks).toBe(4);
});

describe('RFC 9293 MUST-7: what is malformed does no harm', () => {
  test('parsing again forgets what was there', () => {
    const options = parse('020405b4 0402 080a 00000001 00000002 01 030307');
    parse('', options);
    expect([options.mss, options.windShift, options.sackPermitted, options.hasTimestamps]).toEqual([
      ...[0, -1, false, false],
    ]);
    expect(options.sackBlocks).toBe(0);
  });

  test('unknown options are skipped by their length', () => {
    expect(parse('fe04abcd 020405b4').mss).toBe(1460);
    expect(parse('1302 020405b4').mss).toBe(1460);
  });

  test('the end option ends it', () => {
    expect(parse('00 020405b4')).toEqual(NOTHING);
  });

  test.each([
    ['a length of zero', 'fe00 020405b4'],
    ['a length of one', 'fe01 020405b4'],
    ['a length beyond the end', 'fe07 020405b4'],
    ['no length at all', '02'],
    ['an MSS cut off', '020405'],
    ['an MSS of another length', '0203 05 00'],
    ['a window scale of another length', '0304 0707'],
    ['SACK-permitted of another length', '0403 00'],
    ['timestamps of another length', '0809 00000001 000000'],
    ['SACK of half a block', '0506 00000001'],
    ['SACK without a block', '0502'],
  ])('%s', (_name, text) => {
    expect(parse(text)).toEqual(NOTHING);
  });

  test('any bytes: never a throw, never a value out of range', () => {
    const options = new TcpOptions();
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
        const { view } = memoryOver(bytes);
        options.parse(view, 0, bytes.length);
        expect(options.windShift).toBeGreaterThanOrEqual(-1);
        expect(options.windShift).toBeLessThanOrEqual(14);
        expect(options.sackBlocks).toBeLessThanOrEqual(4);
      }),
      { numRuns: 2000 },
    );
  });
});

test('what is written is a multiple of four bytes and reads the same', () => {
  const { view } = memoryOver(new Uint8Array(40));
  let at = writeMss(view, 0, 65_495);
  at = writeWindowScale(view, at, 14);
  at = writeSackPermitted(view, at);
  at = writeTimestamps(view, at, -1, 5);
  expect(at).toBe(24);
  const options = new TcpOptions();
  options.parse(view, 0, at);
  expect([options.mss, options.windShift, options.sackPermitted]).toEqual([65_495, 14, true]);
  expect([options.hasTimestamps, options.tsVal, options.tsEcr]).toEqual([true, -1, 5]);

  at = writeSackHead(view, 0, 2);
  for (const [i, edge] of [1, 2, -4, -3].entries()) view.setInt32(at + 4 * i, edge);
  options.parse(view, 0, at + 16);
  expect([options.sackBlocks, ...options.sack.subarray(0, 4)]).toEqual([2, 1, 2, -4, -3]);
});
