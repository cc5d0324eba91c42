import { expect, test } from 'vitest';
import { table } from '../../bench/report/table.ts';
import type { Row } from '../../bench/row.ts';

const frame: Row = {
  part: 'frames',
  name: 'TCP, 1460 B',
  value: 365,
  unit: 'ns',
  bytes: 1460,
  spread: 0.024,
};
const reply: Row = { part: 'arp', name: 'request', value: 8.256, unit: 'ns' };

test('a table has aligned columns, and rates that follow from the value', () => {
  expect(table([frame, reply], 'a frame').split('\n')).toEqual([
    '|             | a frame |   ± | million/s | Gbit/s |',
    '|-------------|--------:|----:|----------:|-------:|',
    '| TCP, 1460 B |  365 ns | 2 % |      2.74 |   32.0 |',
    '| request     | 8.26 ns |     |       121 |        |',
  ]);
});

test('a column that would be empty is left out', () => {
  const heap: Row = { part: 'heap', name: 'TCP', value: 0.034, unit: 'bytes' };
  expect(table([heap], 'for a frame').split('\n')[0]).toBe('|     | for a frame |');
  expect(table([heap], 'for a frame')).toContain('| TCP |      0.03 B |');
});

test('frames per second are shown in millions, once', () => {
  const path: Row = { part: 'path', name: 'TCP', value: 2.5e6, unit: 'frames/s', bytes: 1000, spread: 0.1 };
  expect(table([path], 'frames').split('\n')).toEqual([
    '|     |       frames |    ± | Gbit/s |',
    '|-----|-------------:|-----:|-------:|',
    '| TCP | 2.50 million | 10 % |   20.0 |',
  ]);
});

test('beside a recorded run there is a column of ratios', () => {
  const compared = table([frame], 'a frame', () => ({ verdict: 'worse', text: '1.20 slower' }));
  expect(compared).toContain('| to the recorded |');
  expect(compared).toContain('|     1.20 slower |');
});
