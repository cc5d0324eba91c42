// The tables of a run, and its JSON.

import { median, quantile } from '../statistics.ts';
import type { Sample } from './rounds.ts';
import type { Bound, Figure, Row } from './rows.ts';

const OURS = 'usernet';

export interface Measured {
  readonly row: Row;
  /** By engine, one a round. */
  readonly samples: ReadonlyMap<string, readonly Sample[]>;
}

/** Three numbers of the ratios of all rounds: ours over another's. */
export interface Ratio {
  readonly lower: number;
  readonly median: number;
  readonly upper: number;
}

/** A table for each group of rows, in Markdown. */
export function tables(measured: readonly Measured[], engines: readonly string[]): string {
  const groups = [...new Set(measured.map(({ row }) => row.group))];
  return groups
    .map((group) => {
      const inGroup = measured.filter(({ row }) => row.group === group);
      const there = engines.filter((engine) => inGroup.some(({ samples }) => samples.has(engine)));
      return table(group, inGroup, there);
    })
    .join('\n\n');
}

function table(group: string, measured: readonly Measured[], engines: readonly string[]): string {
  const head = ['', 'unit', ...engines, 'must', 'want'];
  const lines = measured.flatMap(({ row, samples }) =>
    Object.entries(row.figures).map(([key, figure]) => [
      figure.name,
      figure.unit,
      ...engines.map((engine) => cell(samples, key, engine)),
      bounds(figure.must, figure, samples, key),
      bounds(figure.want, figure, samples, key),
    ]),
  );
  const notes = [...new Set(measured.flatMap(({ row }) => row.note ?? []))].flatMap((note) => [note, '']);
  return [`### ${group}`, '', ...notes, line(head), line(head.map(() => '---')), ...lines.map(line)].join(
    '\n',
  );
}

function line(cells: readonly string[]): string {
  return `| ${cells.join(' | ')} |`.replace('|  |', '| |');
}

/** The median of an engine; for the others also our ratio to it, with quartiles. */
function cell(samples: Measured['samples'], key: string, engine: string): string {
  const values = valuesOf(samples, key, engine);
  if (values.length === 0) return '–';
  if (engine === OURS) return `**${digits(median(values))}**`;
  const ratio = ratioTo(samples, key, engine);
  if (ratio === null) return digits(median(values));
  return `${digits(median(values))} · ${ratio.median.toFixed(2)} (${ratio.lower.toFixed(2)}–${ratio.upper.toFixed(2)})`;
}

function bounds(all: readonly Bound[], figure: Figure, samples: Measured['samples'], key: string): string {
  return all.map((bound) => boundText(bound, figure, samples, key)).join('; ');
}

function boundText(bound: Bound, figure: Figure, samples: Measured['samples'], key: string): string {
  const sign = figure.better === 'more' ? '≥' : '≤';
  const limit = Number(bound.limit.toFixed(2));
  const what = bound.engine === undefined ? `${sign} ${limit}` : `${sign} ${limit} ${bound.engine}`;
  const isMet = meets(bound, figure, samples, key);
  if (isMet === null) return what;
  return isMet ? `${what}: yes` : `${what}: **no**`;
}

/** Null when one of the two was not measured. */
export function meets(
  bound: Bound,
  figure: Figure,
  samples: Measured['samples'],
  key: string,
): boolean | null {
  const value =
    bound.engine === undefined
      ? median(valuesOf(samples, key, OURS))
      : (ratioTo(samples, key, bound.engine)?.median ?? Number.NaN);
  if (Number.isNaN(value)) return null;
  return figure.better === 'more' ? value >= bound.limit : value <= bound.limit;
}

/** Of the rounds in which both were measured; null when there is none. */
export function ratioTo(samples: Measured['samples'], key: string, engine: string): Ratio | null {
  const [ours, theirs] = [samples.get(OURS) ?? [], samples.get(engine) ?? []];
  const ratios = ours.flatMap((sample, round) => {
    const [a, b] = [sample?.[key], theirs[round]?.[key]];
    return a === undefined || b === undefined || b === 0 ? [] : [a / b];
  });
  if (ratios.length === 0) return null;
  return { lower: quantile(ratios, 0.25), median: median(ratios), upper: quantile(ratios, 0.75) };
}

function valuesOf(samples: Measured['samples'], key: string, engine: string): number[] {
  return (samples.get(engine) ?? []).flatMap((sample) => (sample?.[key] === undefined ? [] : [sample[key]]));
}

/** Three significant digits, and no fraction of a thousand. */
export function digits(value: number): string {
  return value >= 100 ? value.toFixed(0) : value.toPrecision(3);
}

/** Every raw number, and what the tables make of them. */
export function asJson(measured: readonly Measured[], engines: readonly string[]): unknown[] {
  return measured.map(({ row, samples }) => ({
    id: row.id,
    group: row.group,
    samples: Object.fromEntries(samples),
    figures: Object.entries(row.figures).map(([key, figure]) => ({
      key,
      name: figure.name,
      unit: figure.unit,
      medians: Object.fromEntries(engines.map((engine) => [engine, median(valuesOf(samples, key, engine))])),
      ratios: Object.fromEntries(engines.slice(1).map((engine) => [engine, ratioTo(samples, key, engine)])),
      must: figure.must.map((bound) => ({ ...bound, isMet: meets(bound, figure, samples, key) })),
      want: figure.want.map((bound) => ({ ...bound, isMet: meets(bound, figure, samples, key) })),
    })),
  }));
}
