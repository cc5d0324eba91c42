// A run as a picture: a point for each row that is nanoseconds, on one scale from the cheapest to the dearest, and a ring
// where the recorded run had it. The scale is logarithmic, so that equal ratios are equal distances. Plain SVG, its colours
// those of the reader's light or dark page.

import type { Row, Run } from '../row.ts';
import { short } from './figures.ts';

const WIDTH = 880;
const LEFT = 330;
const RIGHT = 70;
const TOP = 80;
const ROW = 17;
const HEAD = 30;

const STYLE = `
    svg { --page: #ffffff; --ink: #1f2328; --faint: #59636e; --line: #d1d9e0; --now: #0969da; --then: #bc4c00; }
    @media (prefers-color-scheme: dark) {
      svg { --page: #0d1117; --ink: #e6edf3; --faint: #9198a1; --line: #30363d; --now: #4493f8; --then: #f0883e; }
    }
    .page { fill: var(--page); }
    text { fill: var(--ink); font: 12px ui-sans-serif, system-ui, sans-serif; }
    .title { font-size: 15px; font-weight: 600; }
    .head { font-weight: 600; }
    .faint { fill: var(--faint); }
    .end { text-anchor: end; }
    .middle { text-anchor: middle; }
    line { stroke: var(--line); }
    .now { fill: var(--now); }
    .then { fill: none; stroke: var(--then); stroke-width: 1.5; }`;

/** A part with its rows, as the chart shows it. */
export interface ChartPart {
  readonly title: string;
  readonly rows: readonly Row[];
}

/** The rows of `parts` in nanoseconds; `recorded` gives the rings. There is room for two lines of caption. */
export function chart(
  parts: readonly ChartPart[],
  captions: readonly string[],
  recorded: Run | null,
): string {
  const shown = parts
    .map(({ title, rows }) => ({ title, rows: rows.filter(({ unit }) => unit === 'ns') }))
    .filter(({ rows }) => rows.length > 0);
  const all = shown.flatMap(({ rows }) => rows);
  const x = scaleOf(all.map(({ value }) => value));
  const height = TOP + shown.length * HEAD + all.length * ROW + 24;
  const lines: string[] = [];
  let y = TOP;
  for (const { title, rows } of shown) {
    lines.push(`<text class="head" x="16" y="${y + HEAD - 8}">${escapeText(title)}</text>`);
    y += HEAD;
    for (const row of rows) {
      lines.push(...rowMarks(row, thenOf(row, recorded), x, y + ROW / 2));
      y += ROW;
    }
  }
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img">`,
    `  <style>${STYLE}\n  </style>`,
    `  <rect class="page" width="${WIDTH}" height="${height}"/>`,
    `  <text class="title" x="16" y="24">Nanoseconds of one operation, logarithmic</text>`,
    ...captions.map(
      (text, i) => `  <text class="faint" x="16" y="${41 + 16 * i}">${escapeText(text)}</text>`,
    ),
    ...gridMarks(x, TOP, height - 20).map((mark) => `  ${mark}`),
    ...lines.map((mark) => `  ${mark}`),
    '</svg>',
    '',
  ].join('\n');
}

interface Scale {
  readonly decades: readonly number[];
  at(value: number): number;
}

/** Whole decades around `values`. */
function scaleOf(values: readonly number[]): Scale {
  const first = Math.floor(Math.log10(Math.min(...values, 10)));
  const last = Math.max(first + 1, Math.ceil(Math.log10(Math.max(...values, 10))));
  const width = WIDTH - LEFT - RIGHT;
  return {
    decades: Array.from({ length: last - first + 1 }, (_, i) => 10 ** (first + i)),
    at: (value) => LEFT + (width * (Math.log10(value) - first)) / (last - first),
  };
}

function gridMarks(x: Scale, top: number, bottom: number): string[] {
  return x.decades.flatMap((decade) => {
    const at = x.at(decade).toFixed(1);
    return [
      `<line x1="${at}" x2="${at}" y1="${top}" y2="${bottom}"/>`,
      `<text class="faint middle" x="${at}" y="${top - 6}">${decade.toLocaleString('en-US')} ns</text>`,
    ];
  });
}

function rowMarks(row: Row, then: number | null, x: Scale, y: number): string[] {
  const at = x.at(row.value).toFixed(1);
  const marks = [
    `<text class="end" x="${LEFT - 12}" y="${y + 4}">${escapeText(row.name)}</text>`,
    `<text class="faint end" x="${WIDTH - 14}" y="${y + 4}">${short(row.value)}</text>`,
    `<circle class="now" cx="${at}" cy="${y}" r="4"/>`,
  ];
  if (then !== null) marks.push(`<circle class="then" cx="${x.at(then).toFixed(1)}" cy="${y}" r="6"/>`);
  return marks;
}

function thenOf(row: Row, recorded: Run | null): number | null {
  const found = recorded?.rows.find(({ part, name }) => part === row.part && name === row.name);
  return found === undefined || found.unit !== 'ns' ? null : found.value;
}

function escapeText(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;');
}
