import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { describe, expect, test } from 'vitest';
import { createMemory, fold, type Memory, memoryOver } from '../../src/base/memory.ts';
import { SeededRandom } from '../support/seeded-random.ts';

const root = resolve(import.meta.dirname, '../..');
const SIZE = 262_144;

const makeView = (buffer: ArrayBuffer): Uint8Array => new Uint8Array(buffer);

/** RFC 1071 1, word by word. */
function obviousSum(bytes: Uint8Array, off: number, len: number): number {
  let sum = 0;
  for (let i = 0; i < len; i++) {
    sum += i % 2 === 0 ? bytes[off + i]! * 256 : bytes[off + i]!;
    if (sum > 0xffff) sum -= 0xffff;
  }
  return sum;
}

test('the committed kernel is what its source compiles to', () => {
  const run = spawnSync(process.execPath, ['tools/kernel.mjs', '--print'], { cwd: root, encoding: 'utf8' });
  expect(run.stderr).toBe('');
  expect(run.stdout).toBe(readFileSync(resolve(root, 'src/base/kernel-bytes.ts'), 'utf8'));
}, 60_000);

test('where WebAssembly is refused, the JavaScript twin does its work', () => {
  const wasm = (globalThis as unknown as { WebAssembly: { Module: unknown } }).WebAssembly;
  const { Module } = wasm;
  wasm.Module = class {
    constructor() {
      throw new Error('refused by the page');
    }
  };
  try {
    const memory = createMemory(SIZE, makeView);
    memory.bytes.set([0x12, 0x34, 0x00, 0x01]);
    expect(memory.bytes.length).toBe(SIZE);
    expect(memory.sum(0, 4)).toBe(0x1235);
  } finally {
    wasm.Module = Module;
  }
});

const kinds: [string, () => Memory][] = [
  ['the WebAssembly kernel', () => createMemory(SIZE, makeView)],
  ['the JavaScript twin', () => createMemory(SIZE, makeView, 'js')],
  ['memory of others', () => memoryOver(new Uint8Array(SIZE + 3).subarray(3))],
];

describe.each(kinds)('%s', (_name, make) => {
  const memory = make();
  const random = new SeededRandom(1071);
  for (let i = 0; i < SIZE; i++) memory.bytes[i] = random.word();

  test('RFC 1071: sum() of every length up to 300 at even and odd offsets', () => {
    for (let len = 0; len <= 300; len++) {
      for (const off of [0, 1, 6, 4097]) {
        expect(memory.sum(off, len)).toBe(obviousSum(memory.bytes, off, len));
      }
    }
  });

  test('RFC 1071: sum() of random lengths to 70000 at random offsets', () => {
    for (let i = 0; i < 200; i++) {
      const off = random.below(60_000);
      const len = random.below(70_001);
      expect(memory.sum(off, len)).toBe(obviousSum(memory.bytes, off, len));
    }
    expect(memory.sum(1, 70_000)).toBe(obviousSum(memory.bytes, 1, 70_000));
  });

  test('copySum() copies exactly the bytes and returns their sum', () => {
    for (let i = 0; i < 200; i++) {
      const len = i < 140 ? i : random.below(70_001);
      const src = random.below(60_000);
      const dst = 131_072 + random.below(60_000);
      const before = memory.bytes[dst - 1];
      const behind = memory.bytes[dst + len];
      expect(memory.copySum(dst, src, len)).toBe(obviousSum(memory.bytes, src, len));
      const copy = memory.bytes.subarray(dst, dst + len);
      expect(compareBytes(copy, memory.bytes.subarray(src, src + len))).toBe(-1);
      expect([memory.bytes[dst - 1], memory.bytes[dst + len]]).toEqual([before, behind]);
    }
  });
});

/** Where two arrays of the same length begin to differ; -1: nowhere. */
function compareBytes(a: Uint8Array, b: Uint8Array): number {
  for (let i = 0; i < b.length; i++) if (a[i] !== b[i]) return i;
  return -1;
}

describe.each(kinds)('%s over bytes of 0xff and of zero', (_name, make) => {
  test('a sum of all ones is negative zero, a sum of zeros is zero', () => {
    const memory = make();
    for (const len of [2, 64, 1460, 65_534, 131_072]) {
      memory.bytes.fill(0xff, 0, len);
      expect(memory.sum(0, len)).toBe(0xffff);
      expect(memory.copySum(131_072, 0, len)).toBe(0xffff);
      memory.bytes.fill(0);
      expect(memory.sum(0, len)).toBe(0);
    }
    memory.bytes.fill(0xff);
    expect(memory.sum(0, 65_535)).toBe(0xff00);
    expect(memory.sum(0, SIZE)).toBe(0xffff);
  });
});

test('sum() holds for 524288 bytes of 0xff, the longest it takes', () => {
  for (const kernel of ['wasm', 'js'] as const) {
    const memory = createMemory(1 << 20, makeView, kernel);
    memory.bytes.fill(0xff);
    expect(memory.sum(1, 524_288)).toBe(0xffff);
    memory.bytes[1 + 524_287] = 0xfe;
    expect(memory.sum(1, 524_288)).toBe(0xfffe);
  }
});

test('RFC 1071 4.1: fold() carries around until 16 bits are left', () => {
  expect(fold(0)).toBe(0);
  expect(fold(0xffff)).toBe(0xffff);
  expect(fold(0x10000)).toBe(1);
  expect(fold(0x1fffe)).toBe(0xffff);
  expect(fold(0xffffffff)).toBe(0xffff);
});

test('copy() may overlap itself in both directions', () => {
  const memory = memoryOver(Uint8Array.of(1, 2, 3, 4, 5, 6));
  memory.copy(2, 0, 4);
  expect([...memory.bytes]).toEqual([1, 2, 1, 2, 3, 4]);
  memory.copy(0, 2, 4);
  expect([...memory.bytes]).toEqual([1, 2, 3, 4, 3, 4]);
});
