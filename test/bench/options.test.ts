import { expect, test } from 'vitest';
import { parseOptions } from '../../bench/options.ts';
import { replaceBetweenMarks } from '../../bench/report/readme.ts';

const PARTS = ['arp', 'dhcp'];

test('everything is measured unless something is said', () => {
  expect(parseOptions([], PARTS)).toEqual({ quick: false, only: [], kernel: 'wasm', record: false });
  expect(parseOptions(['--quick', '--only', 'arp,dhcp', '--kernel', 'js'], PARTS)).toEqual({
    ...{ quick: true, only: ['arp', 'dhcp'], kernel: 'js', record: false },
  });
});

test.each([
  [['--only', 'tcp'], '--only tcp: the parts are arp, dhcp'],
  [['--kernel', 'simd'], '--kernel simd: wasm or js'],
  [['--record', '--quick'], '--record: only a whole run is recorded'],
  [['--record', '--only', 'arp'], '--record: only a whole run is recorded'],
])('%j is refused', (args, message) => {
  expect(() => parseOptions(args, PARTS)).toThrow(message);
});

test('a run takes the place of the last one in the README, and nothing else changes', () => {
  const text = 'before\n<!-- a: begin -->\nold\n<!-- a: end -->\nafter\n<!-- b: begin --><!-- b: end -->\n';
  expect(replaceBetweenMarks(text, 'a', 'new')).toBe(
    'before\n<!-- a: begin -->\n\nnew\n\n<!-- a: end -->\nafter\n<!-- b: begin --><!-- b: end -->\n',
  );
  expect(() => replaceBetweenMarks(text, 'c', 'new')).toThrow('<!-- c: begin -->');
});
