import { expect, test } from 'vitest';
import { readResults } from './results.ts';

test('a hundred thousand runs are on record, and each came to an end that there was a reason for', () => {
  const { long } = readResults(import.meta.dirname);
  expect(long.runs).toBeGreaterThanOrEqual(100_000);
  const rows = Object.values(long.table);
  expect(rows.reduce((sum, row) => sum + row.runs, 0)).toBe(long.runs);
  for (const { runs, whole, cut, gaveUp } of rows) expect(whole + cut + gaveUp).toBe(runs);
});
