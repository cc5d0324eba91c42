// Numbers as text.

import type { Row } from '../row.ts';

/** Three digits that say something, at most two of them behind the point. */
export function short(value: number): string {
  const magnitude = Math.abs(value);
  return value.toFixed(magnitude >= 99.95 ? 0 : magnitude >= 9.995 ? 1 : 2);
}

export function valueText({ value, unit }: Row): string {
  if (unit === 'frames/s') return `${short(value / 1e6)} million`;
  if (unit === 'collections') return short(value);
  if (unit === 'bytes') return `${short(value)} B`;
  return `${short(value)} ${unit}`;
}

/** Operations per second in millions; null where a row is not about time. */
export function millionsPerSecond({ value, unit }: Row): number | null {
  if (unit === 'ns') return 1000 / value;
  return unit === 'frames/s' ? value / 1e6 : null;
}

/** Of payload; null where there is none. */
export function gbits(row: Row): number | null {
  const millions = millionsPerSecond(row);
  return millions === null || row.bytes === undefined ? null : (row.bytes * 8 * millions) / 1000;
}
