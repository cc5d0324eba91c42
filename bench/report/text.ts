// A run as text: for the terminal, and for the README.

import { PARTS } from '../parts.ts';
import type { Run } from '../row.ts';
import { comparer, summary } from './compare.ts';
import { table } from './table.ts';

/** When and of what; where. */
export function captions({ date, commit, kernel, quick, machine }: Run): [string, string] {
  const { cpu, cores, system, node, v8, tinybench, load } = machine;
  return [
    `${date.slice(0, 16).replace('T', ' ')} UTC, commit ${commit}, ${kernel} kernel${quick ? ', quick' : ''}`,
    `${cores} cores of ${cpu}, ${system}, Node ${node}, V8 ${v8}, tinybench ${tinybench}, load ${load} at its start`,
  ];
}

export function headLine(run: Run): string {
  return `${captions(run).join('; ')}.`;
}

/** A heading of `level` and a table for each part; with `recorded`, beside what that had. */
export function tables(run: Run, recorded: Run | null, level: string): string {
  const compared = recorded === null ? null : comparer(recorded);
  return PARTS.flatMap(({ name, title, column }) => {
    const rows = run.rows.filter(({ part }) => part === name);
    return rows.length === 0 ? [] : [`${level} ${title}\n\n${table(rows, column, compared)}`];
  }).join('\n\n');
}

export function terminalText(run: Run, recorded: Run | null): string {
  const end =
    recorded === null ? 'No run is recorded to compare with: --record does it.' : summary(run, recorded);
  return `${headLine(run)}\n\n${tables(run, recorded, '##')}\n\n${end}\n`;
}
