import { describe, expect, test } from 'vitest';
import { compare, comparer, summary } from '../../bench/report/compare.ts';
import type { Machine, Row, Run, Unit } from '../../bench/row.ts';

const machine: Machine = {
  ...{ cpu: 'a processor', cores: 2, system: 'Linux 6', node: 'v20.0.0', v8: '11.3', tinybench: '6.2.3' },
  load: 0,
};

function row(value: number, unit: Unit = 'ns', name = 'a'): Row {
  return { part: 'frames', name, value, unit };
}

function run(rows: readonly Row[], more: Partial<Run> = {}): Run {
  return {
    ...{ date: '2026-01-02T03:04:05Z', commit: 'abc1234', kernel: 'wasm', quick: false, machine, rows },
    ...more,
  };
}

describe('a row beside the recorded one', () => {
  test.each([
    { value: 114, unit: 'ns', verdict: 'same', text: '1.14' },
    { value: 116, unit: 'ns', verdict: 'worse', text: '1.16 slower' },
    { value: 88, unit: 'ns', verdict: 'same', text: '0.88' },
    { value: 86, unit: 'ns', verdict: 'better', text: '0.86 faster' },
    { value: 88, unit: 'frames/s', verdict: 'same', text: '0.88' },
    { value: 86, unit: 'frames/s', verdict: 'worse', text: '0.86 slower' },
    { value: 116, unit: 'frames/s', verdict: 'better', text: '1.16 faster' },
    { value: 120, unit: 'bytes', verdict: 'worse', text: '1.20 more' },
    { value: 80, unit: 'bytes', verdict: 'better', text: '0.80 less' },
    { value: 80, unit: 'collections', verdict: 'better', text: '0.80 less' },
    { value: 80, unit: 'ms', verdict: 'better', text: '0.80 faster' },
  ] as const)('$value $unit of 100: $text', ({ value, unit, verdict, text }) => {
    expect(compare(row(value, unit), row(100, unit))).toEqual({ verdict, text });
  });

  test('near zero a small difference is none, and a large one has no ratio', () => {
    expect(compare(row(0.4, 'bytes'), row(0, 'bytes'))).toEqual({ verdict: 'same', text: '=' });
    expect(compare(row(40, 'bytes'), row(0, 'bytes'))).toEqual({ verdict: 'worse', text: 'from 0 more' });
  });

  test('what was not recorded, or in another unit, is new', () => {
    expect(compare(row(1), undefined).verdict).toBe('new');
    expect(compare(row(1), row(1, 'ms')).verdict).toBe('new');
  });
});

test('rows are found by part and name, in whatever order', () => {
  const judge = comparer(run([row(10, 'ns', 'b'), row(100, 'ns', 'a')]));
  expect(judge(row(100, 'ns', 'a')).text).toBe('=');
  expect(judge(row(20, 'ns', 'b')).text).toBe('2.00 slower');
  expect(judge({ ...row(20, 'ns', 'b'), part: 'arp' }).verdict).toBe('new');
});

test('the summary counts, and says that machines are noisy', () => {
  const now = run([row(50, 'ns', 'a'), row(50, 'ns', 'b'), row(50, 'ns', 'c')]);
  const text = summary(now, run([row(100, 'ns', 'a'), row(10, 'ns', 'b')]));
  expect(text).toContain('the run of 2026-01-02, commit abc1234: of 3 rows 1 worse and 1 better');
  expect(text).toContain('1 new');
  expect(text).toContain('noisy');
  expect(text).not.toContain('The machines differ');
});

test('the summary says when the machines differ, and when the run was quick', () => {
  const now = run([row(1)], { quick: true, machine: { ...machine, node: 'v22.0.0' } });
  const text = summary(now, run([row(1)]));
  expect(text).toContain('The machines differ: node v22.0.0, recorded v20.0.0.');
  expect(text).toContain('quick run');
});
