import { expect, test } from 'vitest';
import { chart } from '../../bench/report/chart.ts';
import type { Row, Run } from '../../bench/row.ts';

const rows: readonly Row[] = [
  { part: 'frames', name: 'TCP <1460> & more', value: 10, unit: 'ns' },
  { part: 'frames', name: 'UDP', value: 1000, unit: 'ns' },
  { part: 'frames', name: 'heap', value: 3, unit: 'bytes' },
];
const recorded = { rows: [{ ...rows[1]!, value: 100 }] } as unknown as Run;

function places(svg: string, kind: string): number[] {
  return [...svg.matchAll(new RegExp(`<circle class="${kind}" cx="([\\d.]+)"`, 'g'))].map((m) =>
    Number(m[1]),
  );
}

test('each row in nanoseconds has a point, equal ratios at equal distances', () => {
  const svg = chart([{ title: 'Frames', rows }], ['a machine'], recorded);
  const [tcp, udp] = places(svg, 'now') as [number, number];
  const [then] = places(svg, 'then') as [number];
  expect(places(svg, 'now')).toHaveLength(2);
  expect(udp - then).toBeCloseTo(then - tcp, 0);
  expect(svg).toContain('>10 ns<');
  expect(svg).toContain('>1,000 ns<');
});

test('text is escaped, and every element is closed', () => {
  const svg = chart([{ title: 'Frames', rows }], ['a & b'], null);
  expect(svg).toContain('TCP &lt;1460&gt; &amp; more');
  expect(svg).toContain('a &amp; b');
  for (const name of ['svg', 'text', 'style'])
    expect(svg.split(`<${name}`).length, name).toBe(svg.split(`</${name}>`).length);
});

test('a part without nanoseconds is not in it, and nothing at all is a chart too', () => {
  expect(chart([{ title: 'Heap', rows: rows.slice(2) }], [], null)).not.toContain('Heap');
  expect(chart([], [], null)).toMatch(/^<svg .*<\/svg>\n$/s);
});

test('it has colours for a light page and for a dark one', () => {
  expect(chart([], [], null)).toContain('@media (prefers-color-scheme: dark)');
});
