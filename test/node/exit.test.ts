import { execFileSync } from 'node:child_process';
import { resolve } from 'node:path';
import { expect, test } from 'vitest';

/** What a program prints that has to end by itself within the time limit. */
function untilItEnds(program: string): string {
  const root = resolve(import.meta.dirname, '../..');
  const args = ['tools/run.mjs', program];
  return execFileSync(process.execPath, args, { cwd: root, encoding: 'utf8', timeout: 15_000 });
}

test('after close() nothing is left that keeps the process alive', () => {
  expect(untilItEnds('test/support/exits-by-itself.ts')).toMatch(/^closed (null|reset) (null|reset)$/);
});

test('a whole network closed under open flows leaves no flow, no timer, no buffer, and the process ends', () => {
  expect(untilItEnds('test/support/network-exits-by-itself.ts')).toBe('1 tcp, 1 udp, then 0');
});

test('ten networks with ten guests each: nobody hears another network, and the process ends', () => {
  expect(untilItEnds('test/support/many-networks.ts')).toBe('100 heard, 0 astray, 0 left');
});
