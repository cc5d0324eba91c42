// Rows as a table of Markdown, whose columns are aligned so that a terminal shows it as well. A column that would be empty
// is left out.

import type { Row } from '../row.ts';
import type { Compared } from './compare.ts';
import { gbits, millionsPerSecond, short, valueText } from './figures.ts';

interface Column {
  readonly head: string;
  cell(row: Row): string;
}

/** `column` says what a value is of. With `compared`, from each row's side, what the recorded run had. */
export function table(
  rows: readonly Row[],
  column: string,
  compared: ((row: Row) => Compared) | null = null,
): string {
  const columns: Column[] = [
    { head: '', cell: (row) => row.name },
    { head: column, cell: valueText },
    { head: '±', cell: ({ spread }) => (spread === undefined ? '' : `${(100 * spread).toFixed(0)} %`) },
    // A rate as the value is not said twice.
    {
      head: 'million/s',
      cell: (row) => (row.unit === 'frames/s' ? '' : numberOrNothing(millionsPerSecond(row))),
    },
    { head: 'Gbit/s', cell: (row) => numberOrNothing(gbits(row)) },
  ];
  if (compared !== null) columns.push({ head: 'to the recorded', cell: (row) => compared(row).text });
  const filled = columns.filter(({ cell }) => rows.some((row) => cell(row) !== ''));
  return layOut([filled.map(({ head }) => head), ...rows.map((row) => filled.map(({ cell }) => cell(row)))]);
}

function numberOrNothing(value: number | null): string {
  return value === null ? '' : short(value);
}

/** The first line is the head; the first column is text, the others are numbers and end at the right. */
function layOut(lines: readonly (readonly string[])[]): string {
  const widths = lines[0]!.map((_, i) => Math.max(3, ...lines.map((cells) => cells[i]!.length)));
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join(' | ')} |`;
  const rule = `|${widths.map((width, i) => (i === 0 ? '-'.repeat(width + 2) : `${'-'.repeat(width + 1)}:`)).join('|')}|`;
  const [head, ...rest] = lines;
  return [line(head!), rule, ...rest.map(line)].join('\n');
}
