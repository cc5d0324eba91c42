// A run beside the one that was recorded. Machines are noisy, so that a row is called slower or faster only beyond 15 %.

import type { Machine, Row, Run, Unit } from '../row.ts';

const TOLERANCE = 1.15;
/** Where values are near zero a ratio says nothing: smaller differences than these are none. */
const LEAST: Readonly<Record<Unit, number>> = {
  ns: 0,
  'frames/s': 0,
  bytes: 0.5,
  collections: 2,
  ms: 10,
};
const WORSE: Readonly<Record<Unit, string>> = {
  ns: 'slower',
  'frames/s': 'slower',
  bytes: 'more',
  collections: 'more',
  ms: 'slower',
};
const BETTER: Readonly<Record<Unit, string>> = { ...WORSE, ns: 'faster', 'frames/s': 'faster', ms: 'faster' };

export interface Compared {
  readonly verdict: 'same' | 'worse' | 'better' | 'new';
  /** For a table: the value over the recorded one, and a word when it is beyond the tolerance. */
  readonly text: string;
}

/** `row` beside the recorded run's. */
export function compare(row: Row, recorded: Row | undefined): Compared {
  if (recorded === undefined || recorded.unit !== row.unit) return { verdict: 'new', text: 'new' };
  const { unit, value } = row;
  if (Math.abs(value - recorded.value) <= LEAST[unit]) return { verdict: 'same', text: '=' };
  const ratio = value / recorded.value;
  const figure = Number.isFinite(ratio) ? ratio.toFixed(2) : `from ${recorded.value}`;
  const cost = unit === 'frames/s' ? 1 / ratio : ratio;
  if (cost > TOLERANCE) return { verdict: 'worse', text: `${figure} ${WORSE[unit]}` };
  if (cost < 1 / TOLERANCE)
    return {
      verdict: 'better',
      text: `${figure} ${unit === 'bytes' || unit === 'collections' ? 'less' : BETTER[unit]}`,
    };
  return { verdict: 'same', text: figure };
}

/** Finds each row of `recorded` by its part and name. */
export function comparer(recorded: Run): (row: Row) => Compared {
  const rows = new Map(recorded.rows.map((row) => [keyOf(row), row]));
  return (row) => compare(row, rows.get(keyOf(row)));
}

function keyOf({ part, name }: Row): string {
  return `${part}: ${name}`;
}

/** What can be said of the whole, with what to bear in mind. */
export function summary(run: Run, recorded: Run): string {
  const judge = comparer(recorded);
  const verdicts = run.rows.map((row) => judge(row).verdict);
  const count = (verdict: Compared['verdict']): number => verdicts.filter((each) => each === verdict).length;
  const lines = [
    `Beside the run of ${recorded.date.slice(0, 10)}, commit ${recorded.commit}: of ${verdicts.length} rows ` +
      `${count('worse')} worse and ${count('better')} better by more than 15 %, ${count('new')} new.`,
    'Machines are noisy: run a row that differs again, with --only, before you believe it.',
  ];
  const changed = differences(run.machine, recorded.machine);
  if (changed.length > 0) lines.push(`The machines differ: ${changed.join('; ')}.`);
  if (run.quick) lines.push('This was a quick run: its medians are of few samples.');
  return lines.join('\n');
}

function differences(now: Machine, then: Machine): string[] {
  const fields = ['cpu', 'cores', 'system', 'node'] as const;
  return fields
    .filter((field) => now[field] !== then[field])
    .map((field) => `${field} ${now[field]}, recorded ${then[field]}`);
}
