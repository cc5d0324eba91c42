// The table of results: what became of the runs, by the kind of their channel. Whole numbers only, so that tables of parts
// add up to the table of all and the same runs give the same table on any machine.

import { CHANNELS, type ChannelKind, NOT } from './config.ts';
import type { SimulationResult } from './simulation.ts';

export interface Row {
  runs: number;
  /** Runs in which every byte of both directions arrived and both ends ended in order. */
  whole: number;
  /** Runs in which an end reset or vanished, as it was to, and the other found out. */
  cut: number;
  /** Runs in which an end that was not to gave up. */
  gaveUp: number;
  /** Bytes that were read. */
  bytes: number;
  segments: number;
  /** Segments lost or damaged. */
  lost: number;
  /** Bytes of text sent, and of those that told the other end nothing new. */
  textSent: number;
  needless: number;
  timeouts: number;
  /** Sum over `whole` of the time that the run takes without faults by the time it took, in thousandths. */
  shares: number;
}

export type Table = Record<ChannelKind, Row>;

export function newTable(): Table {
  return Object.fromEntries(CHANNELS.map((kind) => [kind, newRow()])) as Table;
}

function newRow(): Row {
  return {
    ...{ runs: 0, whole: 0, cut: 0, gaveUp: 0, bytes: 0, segments: 0, lost: 0 },
    ...{ textSent: 0, needless: 0, timeouts: 0, shares: 0 },
  };
}

export function addResult(table: Table, result: SimulationResult): void {
  const { config, outcome, idealAt, readAt } = result;
  const row = table[config.kind];
  row.runs++;
  if (outcome === 'normal/normal') row.whole++;
  else if (hasFate(result)) row.cut++;
  else row.gaveUp++;
  for (const key of ['bytes', 'segments', 'lost', 'textSent', 'needless', 'timeouts'] as const) {
    row[key] += result[key];
  }
  if (outcome === 'normal/normal') row.shares += Math.round((1000 * (idealAt + 1)) / (readAt + 1));
}

function hasFate({ config }: SimulationResult): boolean {
  return [config.active, config.passive].some(
    ({ abortsAfter, abortsAt, vanishesAt }) => Math.max(abortsAfter, abortsAt, vanishesAt) > NOT,
  );
}

/** Adds `table` to `to`. */
export function addTable(to: Table, table: Table): void {
  for (const kind of CHANNELS) addRow(to[kind], table[kind]);
}

function addRow(to: Row, row: Row): void {
  for (const key of Object.keys(to) as (keyof Row)[]) to[key] += row[key];
}

/** As a table of Markdown, the last row the sum. */
export function renderTable(table: Table): string {
  const all = newRow();
  for (const kind of CHANNELS) addRow(all, table[kind]);
  const head = [
    'channel',
    'runs',
    'whole',
    'cut',
    'gave up',
    'MiB read',
    'segments',
    'lost',
    'sent twice',
    'needless',
    'timeouts',
    'pace',
  ];
  const rows = [...CHANNELS.map((kind) => cells(kind, table[kind])), cells('all', all)];
  const widths = head.map((name, i) => Math.max(name.length, ...rows.map((row) => row[i]!.length)));
  const line = (row: readonly string[]) =>
    `| ${row.map((cell, i) => (i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!))).join(' | ')} |`;
  const rule = `|${widths.map((width, i) => (i === 0 ? '-'.repeat(width + 2) : `${'-'.repeat(width + 1)}:`)).join('|')}|`;
  return `${[line(head), rule, ...rows.map(line)].join('\n')}\n`;
}

function cells(name: string, row: Row): string[] {
  // What was read in runs that were cut was sent once at least, so this is an upper limit for them.
  const twice = Math.max(0, row.textSent - row.bytes);
  return [
    name,
    String(row.runs),
    String(row.whole),
    String(row.cut),
    String(row.gaveUp),
    (row.bytes / 2 ** 20).toFixed(1),
    String(row.segments),
    percent(row.lost, row.segments),
    percent(twice, row.textSent),
    percent(row.needless, row.textSent),
    String(row.timeouts),
    row.whole === 0 ? '' : (row.shares / row.whole / 1000).toFixed(3),
  ];
}

function percent(part: number, whole: number): string {
  return whole === 0 ? '' : `${((100 * part) / whole).toFixed(2)} %`;
}
